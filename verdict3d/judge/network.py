"""From pictures to one margin: the one-token reading that training and inference share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from verdict3d.errors import Verdict3DError
from verdict3d.judge.families import Family, Grid
from verdict3d.judge.rubric import texts_between

LETTERS = ("A", "B")
_SPELLINGS = ("{}", " {}")


@dataclass(frozen=True, eq=False)
class Layout:
    """Where text and picture tokens stand in a panel.

    Args:
        ids: (length,) int64 token ids.
        picture_at: (picture tokens,) int64 places where a picture's features replace the embedding.
        positions: (3, length) int64 for families with three-axis positions, else None.
    """

    ids: Tensor
    picture_at: Tensor
    positions: Tensor | None

    def to(self, device: torch.device) -> Layout:
        """Return the layout on ``device``."""
        positions = None if self.positions is None else self.positions.to(device)
        return Layout(self.ids.to(device), self.picture_at.to(device), positions)


def chat_ids(tokenizer: Any, prompt: str, image_token_id: int, chat_template: str | None = None) -> list[int]:
    """Render the prompt through the chat template, up to where the answer begins, and tokenize it.

    Each picture is still one placeholder. The template decides what stands around pictures.

    Raises:
        Verdict3DError: The template did not put exactly the prompt's pictures into the text.
    """
    before, *between = texts_between(prompt)
    content: list[dict[str, str]] = [{"type": "text", "text": before}] if before else []
    for text in between:
        content.append({"type": "image"})
        if text:
            content.append({"type": "text", "text": text})
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}],
        tokenize=False,
        add_generation_prompt=True,
        chat_template=chat_template,
    )
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    if ids.count(image_token_id) != len(between):
        raise Verdict3DError(
            f"the judge's chat template put {ids.count(image_token_id)} pictures (token id {image_token_id}) "
            f"into the prompt instead of {len(between)}; the model directory needs a template for messages "
            "with pictures"
        )
    return ids


def panel_layout(family: Family, model: Any, tokenizer: Any, ids: list[int], grids: list[Grid]) -> Layout:
    """Replace the placeholders, one a picture, by the tokens of pictures with these grids."""
    image_token = family.image_token_id(model)
    full: list[int] = []
    image_at: list[int] = []
    for number in ids:
        if number != image_token:
            full.append(number)
            continue
        tokens = family.image_ids(model, tokenizer, grids[len(image_at)])
        image_at.append(len(full) + tokens.index(image_token))
        full.extend(tokens)
    whole = torch.tensor(full)
    picture_at = (whole == image_token).nonzero().flatten()
    return Layout(whole, picture_at, family.positions(model, image_at, grids, len(full)))


def answer_ids(tokenizer: Any) -> tuple[Tensor, Tensor]:
    """Return the ids of the spellings of A and of B that are one token for both letters.

    Raises:
        Verdict3DError: The letters are not single tokens.
    """
    found: tuple[list[int], list[int]] = ([], [])
    for spelling in _SPELLINGS:
        pair = [
            tokenizer(spelling.format(letter), add_special_tokens=False)["input_ids"] for letter in LETTERS
        ]
        known = all(len(ids) == 1 and ids[0] != tokenizer.unk_token_id for ids in pair)
        if known and pair[0][0] not in found[0]:
            for ids, letter_ids in zip(pair, found, strict=True):
                letter_ids.append(ids[0])
    if not found[0]:
        raise Verdict3DError("the judge's tokenizer has no single tokens for the letters A and B")
    return torch.tensor(found[0]), torch.tensor(found[1])


def read_margins(model: Any, layout: Layout, features: Tensor, answers: tuple[Tensor, Tensor]) -> Tensor:
    """Return the margin logit(A) - logit(B) at the answer position of each panel.

    Spellings of a letter are merged by log-sum-exp.

    Args:
        model: A VLM with ``model.language_model`` and ``lm_head``.
        layout: The token sequence of all panels, on the model's device.
        features: (panels, picture tokens, hidden) features of all pictures of a panel in a row.
        answers: Ids of the spellings of A and of B, on the model's device.

    Returns:
        (panels,) float32 margins, positive where the first candidate is preferred.
    """
    language = model.model.language_model
    count = features.shape[0]
    embedded = language.get_input_embeddings()(layout.ids)
    whole = embedded.expand(count, -1, -1).index_copy(1, layout.picture_at, features.to(embedded.dtype))
    positions = None if layout.positions is None else layout.positions[:, None].expand(-1, count, -1)
    hidden = language(inputs_embeds=whole, position_ids=positions, use_cache=False).last_hidden_state[:, -1]
    logits = model.lm_head(hidden).float()
    first, second = (logits[:, ids].logsumexp(dim=-1) for ids in answers)
    return first - second
