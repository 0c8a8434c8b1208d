"""An OpenAI-compatible server for tests: an embedded judge behind the protocol, with faults on request.

`python tests/support/judge_server.py PORT MODEL_DIRECTORY`. `POST /faults` takes a list of names, one for
each of the next requests; `GET /seen` tells what has been asked. Answers come from the class's own `forward`,
not from our reader of margins.
"""

from __future__ import annotations

import base64
import io
import json
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageTextToText, AutoTokenizer

KEY = "loopback-secret"
MODEL = "embedded-judge"
PLACEHOLDER = {
    "qwen2_5_vl": ("<|image_pad|>", "<|image_pad|>" * 64),
    "internvl": ("<IMG_CONTEXT>", "<img>" + "<IMG_CONTEXT>" * 36 + "</img>"),
}


class StockJudge:
    """The model as users of the class run it."""

    def __init__(self, directory: str) -> None:
        torch.set_num_threads(1)
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        self.processor = AutoImageProcessor.from_pretrained(directory, backend="pil")
        self.model = AutoModelForImageTextToText.from_pretrained(directory, dtype=torch.float32).eval()
        self.lock = threading.Lock()

    def log_probabilities(self, messages: list[dict[str, Any]]) -> torch.Tensor:
        pictures, told = [], []
        for message in messages:
            parts = message["content"]
            if isinstance(parts, str):
                parts = [{"type": "text", "text": parts}]
            told.append({"role": message["role"], "content": [self._part(part, pictures) for part in parts]})
        text = self.tokenizer.apply_chat_template(told, tokenize=False, add_generation_prompt=True)
        family = self.model.config.model_type
        ids = self.tokenizer(text.replace(*PLACEHOLDER[family]), return_tensors="pt")["input_ids"]
        inputs = dict(self.processor(images=pictures, return_tensors="pt"))
        inputs.pop("num_patches", None)
        if family == "qwen2_5_vl":
            inputs["mm_token_type_ids"] = (ids == self.model.config.image_token_id).int()
        with self.lock, torch.no_grad():
            return self.model(input_ids=ids, **inputs).logits[0, -1].log_softmax(-1)

    def _part(self, part: dict[str, Any], pictures: list[np.ndarray]) -> dict[str, str]:
        if part["type"] == "text":
            return part
        kind, content = part["image_url"]["url"].split(",", 1)
        assert kind == "data:image/png;base64"
        pictures.append(np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB")))
        return {"type": "image"}


class Handler(BaseHTTPRequestHandler):
    judge: StockJudge
    faults: ClassVar[list[str]] = []
    seen: ClassVar[dict[str, Any]] = {"requests": 0, "at_once": 0, "most_at_once": 0, "bodies": []}
    lock = threading.Lock()

    def do_GET(self) -> None:
        self._send(200, json.dumps(self.seen).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/faults":
            Handler.faults = list(body)
            Handler.seen |= {"requests": 0, "most_at_once": 0, "bodies": []}
            self._send(200, b"{}")
            return
        with self.lock:
            self.seen["requests"] += 1
            self.seen["bodies"].append({key: value for key, value in body.items() if key != "messages"})
            fault = self.faults.pop(0) if self.faults else ""
        self._answer(body, fault)

    def _answer(self, body: dict[str, Any], fault: str) -> None:
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            self._send(401, f"wrong key {self.headers.get('Authorization')}".encode())
        elif body["model"] != MODEL:
            self._send(404, b'{"error": "the model does not exist"}')
        elif fault.isdigit():
            self._send(int(fault), b'{"error": "as asked"}', {"Retry-After": "0"})
        elif fault == "hang":
            time.sleep(3.0)
            self.close_connection = True
        elif fault == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault == "malformed":
            self._send(200, b"<html>not a completion</html>")
        else:
            with self.lock:
                self.seen["at_once"] += 1
                self.seen["most_at_once"] = max(self.seen["most_at_once"], self.seen["at_once"])
            reply = self._reply(body, fault)
            with self.lock:  # before it is sent: the client may ask on as soon as it has it
                self.seen["at_once"] -= 1
            self._deliver(reply, fault)

    def _deliver(self, reply: bytes, fault: str) -> None:
        """Send a whole reply, its first half as if it were whole or as it is, or a byte now and then."""
        half = reply[: len(reply) // 2]
        if fault == "truncated_json":
            self._send(200, half)
        elif fault == "truncated":
            self._start(200, len(reply))
            self.wfile.write(half)
            self.close_connection = True
        elif fault == "trickle":
            self._start(200, len(reply))
            for place in range(len(reply)):
                self.wfile.write(reply[place : place + 1])
                self.wfile.flush()
                time.sleep(0.2)
        else:
            self._send(200, reply)

    def _reply(self, body: dict[str, Any], fault: str) -> bytes:
        logs = self.judge.log_probabilities(body["messages"])
        names = self.judge.tokenizer.convert_ids_to_tokens
        logs[self.judge.tokenizer.convert_tokens_to_ids("a")] = -torch.inf  # nothing was learned of it
        top = logs.topk(min(body.get("top_logprobs", 1), len(logs) - 1))
        listed = [
            {"token": names(int(number)), "logprob": float(value)} for value, number in zip(*top, strict=True)
        ]
        letters = self.judge.tokenizer.convert_tokens_to_ids(["A", "B"])
        text = "AB"[int(logs[letters].argmax())]
        asked_before = any(message["role"] == "assistant" for message in body["messages"])
        if fault == "prose" or (fault == "prose_once" and not asked_before):
            text = "Both candidates have merits."
        choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}}
        if body.get("logprobs") and fault != "no_logprobs":
            choice["logprobs"] = {"content": [{"token": listed[0]["token"], "top_logprobs": listed}]}
        model = "another-model" if fault == "wrong_model" else MODEL
        return json.dumps({"model": model, "choices": [] if fault == "empty" else [choice]}).encode()

    def _start(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self._start(status, len(content), headers)
        self.wfile.write(content)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (BrokenPipeError, ConnectionResetError, OSError, ValueError):
            self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


def main(port: str, directory: str) -> None:
    Handler.judge = StockJudge(directory)
    ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
