"""From pictures to one margin: the one-token reading that training and inference share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jinja2 import TemplateError
from torch import Tensor
from torch.nn import functional
from torch.nn.attention.bias import causal_lower_right

from verdict3d.errors import Verdict3DError
from verdict3d.judge.family import Family, Grid
from verdict3d.judge.rubric import split_texts

LETTERS = ("A", "B")
_SPELLINGS = ("{}", " {}")


@dataclass(frozen=True, eq=False)
class Layout:
    """Where text and picture tokens stand in a panel.

    Args:
        ids: (length,) int64 token ids.
        picture_at: (picture tokens,) int64 places where a picture's features replace the embedding.
        positions: (3, length) int64 for families with three-axis positions, else None.
        starts: Place of the first token of each picture.
    """

    ids: Tensor
    picture_at: Tensor
    positions: Tensor | None
    starts: tuple[int, ...]

    def to(self, device: torch.device) -> Layout:
        """Return the layout on ``device``."""
        positions = None if self.positions is None else self.positions.to(device)
        return Layout(self.ids.to(device), self.picture_at.to(device), positions, self.starts)

    def split(self, place: int) -> tuple[Layout, Layout]:
        """Cut at the token ``place``, which is not inside a picture; positions go on as they were."""
        before = self.picture_at < place
        positions: list[Tensor | None] = [None, None]
        if self.positions is not None:
            positions = [self.positions[:, :place], self.positions[:, place:]]
        return (
            Layout(
                self.ids[:place],
                self.picture_at[before],
                positions[0],
                tuple(start for start in self.starts if start < place),
            ),
            Layout(
                self.ids[place:],
                self.picture_at[~before] - place,
                positions[1],
                tuple(start - place for start in self.starts if start >= place),
            ),
        )


def tokenize_chat(
    tokenizer: Any, prompt: str, image_token_id: int, chat_template: str | None = None
) -> list[int]:
    """Render the prompt through the chat template, up to where the answer begins, and tokenize it.

    Each picture is still one placeholder. The template decides what stands around pictures.

    Raises:
        Verdict3DError: The template did not put exactly the prompt's pictures into the text.
    """
    text, pictures = write_chat(tokenizer, prompt, chat_template)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    if ids.count(image_token_id) != pictures:
        raise Verdict3DError(
            f"the judge's chat template put {ids.count(image_token_id)} pictures (token id {image_token_id}) "
            f"into the prompt instead of {pictures}; the model directory needs a template for messages "
            "with pictures"
        )
    return ids


def write_chat(tokenizer: Any, prompt: str, chat_template: str | None = None) -> tuple[str, int]:
    """Render the prompt through the chat template; return the text and its number of pictures.

    Raises:
        Verdict3DError: The template is none, or does what none may do: transformers renders it in a sandbox.
    """
    before, *between = split_texts(prompt)
    content: list[dict[str, str]] = [{"type": "text", "text": before}] if before else []
    for text in between:
        content.append({"type": "image"})
        if text:
            content.append({"type": "text", "text": text})
    try:
        rendered: str = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}],
            tokenize=False,
            add_generation_prompt=True,
            chat_template=chat_template,
        )
    except TemplateError as error:
        raise Verdict3DError(f"the judge's chat template cannot be used: {error}") from error
    return rendered, len(between)


def lay_out_panel(family: Family, model: Any, tokenizer: Any, ids: list[int], grids: list[Grid]) -> Layout:
    """Replace the placeholders, one a picture, by the tokens of pictures with these grids."""
    image_token = family.find_image_token(model)
    full: list[int] = []
    image_at: list[int] = []
    for number in ids:
        if number != image_token:
            full.append(number)
            continue
        tokens = family.write_image_ids(model, tokenizer, grids[len(image_at)])
        image_at.append(len(full) + tokens.index(image_token))
        full.extend(tokens)
    whole = torch.tensor(full)
    picture_at = (whole == image_token).nonzero().flatten()
    positions = family.number_positions(model, image_at, grids, len(full))
    return Layout(whole, picture_at, positions, tuple(image_at))


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
    hidden = _find_language(model, layout, features)
    return _compute_margins(model, hidden, answers)


def read_margins_after(
    model: Any,
    parts: tuple[Layout, Layout],
    features: tuple[Tensor, Tensor],
    beginning_of: Tensor,
    answers: tuple[Tensor, Tensor],
) -> Tensor:
    """As :func:`read_margins`, with what several panels begin with computed once.

    Args:
        model: A VLM whose language model attends by :func:`attend_causally`.
        parts: The token sequence of all panels, cut where they begin to differ.
        features: (beginnings, picture tokens of the first part, hidden) and (panels, picture tokens of the
            second part, hidden).
        beginning_of: (panels,) int64 row of each panel's beginning.
        answers: Ids of the spellings of A and of B.

    Returns:
        (panels,) float32 margins.
    """
    from transformers import DynamicCache

    cache = DynamicCache()
    _find_language(model, parts[0], features[0], cache)
    cache.batch_select_indices(beginning_of)
    return _compute_margins(model, _find_language(model, parts[1], features[1], cache), answers)


def _find_language(model: Any, layout: Layout, features: Tensor, cache: Any = None) -> Tensor:
    """Run the language model over (N, picture tokens, hidden) features; (N, hidden) at the last token."""
    language = model.model.language_model
    count = features.shape[0]
    embedded = language.get_input_embeddings()(layout.ids)
    whole = embedded.expand(count, -1, -1).index_copy(1, layout.picture_at, features.to(embedded.dtype))
    positions = None if layout.positions is None else layout.positions[:, None].expand(-1, count, -1)
    done = language(
        inputs_embeds=whole, position_ids=positions, past_key_values=cache, use_cache=cache is not None
    )
    return done.last_hidden_state[:, -1]


def _compute_margins(model: Any, hidden: Tensor, answers: tuple[Tensor, Tensor]) -> Tensor:
    logits = model.lm_head(hidden).float()
    first, second = (logits[:, ids].logsumexp(dim=-1) for ids in answers)
    return first - second


def attend_causally(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Attention of the last tokens of sequences of one length to all before them.

    The transformers library calls it with query (N, heads, new tokens, size), key and value (N, key
    heads, all tokens, size); returns (N, new tokens, heads, size). On a GPU no mask is written to memory.
    """
    new, every = query.shape[2], key.shape[2]
    scale = kwargs.get("scaling")
    attend = functional.scaled_dot_product_attention
    if new == every:
        mixed = attend(query, key, value, is_causal=True, scale=scale, enable_gqa=True)
    elif query.is_cuda:
        groups = query.shape[1] // key.shape[1]
        key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
        mixed = attend(query, key, value, attn_mask=causal_lower_right(new, every), scale=scale)
    else:
        mask = query.new_ones(new, every, dtype=torch.bool).tril(every - new)
        mixed = attend(query, key, value, attn_mask=mask, scale=scale, enable_gqa=True)
    return mixed.transpose(1, 2).contiguous(), None
