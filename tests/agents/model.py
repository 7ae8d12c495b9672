"""A model that follows a script, on a local port: real agents hold a conversation with it, offline and without a key.

It speaks as much of Anthropic's messages, OpenAI's responses and chat completions, and Gemini's content as a turn
needs. What it does follows from a request alone: the first line of `script` whose words stand in the newest message of
a person says which command to ask for; once that was answered, and for every other message, it says `FINISHED`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

FINISHED = "Finished that."
_SHELLS = ("Bash", "exec_command", "shell", "shell_command", "run_shell_command", "bash")
_ANSWERS = ('"tool_result"', '"tool"]', "_call_output", '"functionResponse"')


@dataclass(frozen=True, slots=True)
class Turn:
    """What one request asks: the newest message of a person, and what has been answered since."""

    text: str
    answered: bool  # a command that the model asked for was run, or refused
    shell: str | None  # the name of the tool that runs commands, when there is one


class Model:
    """Serves as long as its `with` block runs. `requests`: the bodies of what was asked, in order.

    `fenced`: commands are written into the text, for an agent without tools.
    """

    def __init__(self, script: Sequence[tuple[str, str]], fenced: bool = False) -> None:
        self.script = tuple(script)
        self.fenced = fenced
        self.requests: list[Mapping[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def command(self, turn: Turn) -> str | None:
        """What it asks to run now."""
        if turn.answered or not (turn.shell or self.fenced):
            return None
        return next((command for words, command in self.script if words in turn.text), None)

    def __enter__(self) -> Model:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def texts(value: Any) -> Iterator[str]:
    """Every text in what was sent, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from texts(each)


def _turn(body: Mapping[str, Any]) -> Turn:
    """In all protocols messages are lists of items with a role, a type, and parts."""
    text, answered = "", False
    for item in body.get("messages") or body.get("input") or body.get("contents") or []:
        content = item.get("content") or item.get("parts")
        for part in content if isinstance(content, list) else [content]:
            kinds = json.dumps([part, item.get("type"), item.get("role")])
            if any(mark in kinds for mark in _ANSWERS):
                answered = True
            elif item.get("role") == "user" and not next(texts(_said(part)), "<").startswith("<"):
                text, answered = "\n".join(texts(part)), False  # what begins with a tag is the agent's, not a person's
    names = [name for tool in body.get("tools") or [] for name in _names(tool)]
    return Turn(text, answered, next((name for name in _SHELLS if name in names), None))


def _said(part: Any) -> Any:
    return part.get("text") if isinstance(part, Mapping) else part


def _names(tool: Mapping[str, Any]) -> list[str]:
    declared = tool.get("functionDeclarations") or [tool.get("function") or tool]
    return [str(each.get("name")) for each in declared]


def _anthropic(turn: Turn, command: str | None) -> list[dict[str, Any]]:
    block: dict[str, Any] = {"type": "text", "text": ""}
    delta = {"type": "text_delta", "text": FINISHED}
    if command:
        block = {"type": "tool_use", "id": f"toolu_{abs(hash(command))}", "name": turn.shell, "input": {}}
        asked = json.dumps({"command": command, "description": "Do the next step"})
        delta = {"type": "input_json_delta", "partial_json": asked}
    usage = {"input_tokens": 10, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    stop = {"stop_reason": "tool_use" if command else "end_turn", "stop_sequence": None}
    return [
        {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]


def _responses(turn: Turn, command: str | None) -> list[dict[str, Any]]:
    said = {"type": "output_text", "text": FINISHED, "annotations": []}
    item: dict[str, Any] = {"type": "message", "id": "msg_1", "role": "assistant", "content": [said]}
    if command:
        asked = {"cmd": command, "sandbox_permissions": "require_escalated", "justification": "May it do this?"}
        call = f"call_{abs(hash(command))}"
        item = {"type": "function_call", "id": f"fc_{call}", "call_id": call, "name": turn.shell}
        item["arguments"] = json.dumps(asked)
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    base = {"id": "resp_1", "object": "response", "model": "m"}
    whole = {**base, "status": "completed", "output": [item], "usage": usage | details}
    return [
        {"type": "response.created", "response": {**base, "status": "in_progress", "output": []}},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]


def _chat(turn: Turn, command: str | None) -> list[dict[str, Any]]:
    delta: dict[str, Any] = {"role": "assistant", "content": FINISHED}
    if command and turn.shell:
        asked = {"name": turn.shell, "arguments": json.dumps({"command": command, "description": "Do the next step"})}
        call = {"index": 0, "id": f"call_{abs(hash(command))}", "type": "function", "function": asked}
        delta = {"role": "assistant", "tool_calls": [call]}
    elif command:
        delta["content"] = f"Run this:\n\n```bash\n{command}\n```\n"
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    end = {"index": 0, "delta": {}, "finish_reason": "tool_calls" if command and turn.shell else "stop"}
    return [
        {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**chunk, "choices": [end], "usage": usage},
    ]


def _gemini(turn: Turn, command: str | None) -> list[dict[str, Any]]:
    part: dict[str, Any] = {"text": FINISHED}
    if command:
        asked = {"command": command, "description": "Do the next step"}
        part = {"functionCall": {"name": turn.shell, "args": asked}}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    return [{"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m"}]


_PROTOCOLS = (
    ("/messages", _anthropic),
    ("/responses", _responses),
    ("/chat/completions", _chat),
    ("streamGenerateContent", _gemini),
)


def _handler(model: Model) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            """Nothing on the terminal of the tests."""

        def do_GET(self) -> None:
            self._reply({"data": [{"id": "m", "object": "model"}], "models": []})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
            if "count" in self.path.lower():
                return self._reply({"input_tokens": 10, "totalTokens": 10})
            model.requests.append(body)
            for part, speak in _PROTOCOLS:
                if part in self.path:
                    turn = _turn(body)
                    return self._stream(speak(turn, model.command(turn)))
            return self._reply({"error": {"message": f"no such endpoint: {self.path}"}}, 404)

        def _reply(self, payload: Mapping[str, Any], status: int = 200) -> None:
            data = json.dumps(payload).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _stream(self, events: Sequence[Mapping[str, Any]]) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            for event in events:
                name = f"event: {event['type']}\n" if "type" in event else ""
                self.wfile.write(f"{name}data: {json.dumps(event)}\n\n".encode())
            if "/chat/" in self.path:
                self.wfile.write(b"data: [DONE]\n\n")
            self.close_connection = True

    return Handler
