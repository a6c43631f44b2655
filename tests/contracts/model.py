"""The API of a model, on loopback: it asks for one tool call, then it is done.

With it the real Claude Code client runs a whole turn, hooks included, without a login.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def model_that_calls(tool: str, tool_input: dict[str, Any]) -> Iterator[str]:
    """Serve it; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(b"", "text/plain")

        def do_GET(self) -> None:
            self._answer(b"{}", "application/json")

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self.path.startswith("/v1/messages") or "count_tokens" in self.path:
                self._answer(b'{"input_tokens": 1}', "application/json")
            elif _wants_a_tool(asked, tool):
                block = {"type": "tool_use", "id": "toolu_01", "name": tool, "input": {}}
                delta = {"type": "input_json_delta", "partial_json": json.dumps(tool_input)}
                self._stream(asked, block, delta, "tool_use")
            else:
                delta = {"type": "text_delta", "text": "done"}
                self._stream(asked, {"type": "text", "text": ""}, delta, "end_turn")

        def _stream(
            self, asked: dict[str, Any], block: dict[str, Any], delta: dict[str, Any], stop: str
        ) -> None:
            message: dict[str, Any] = {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "content": [],
                "model": asked.get("model"),
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {"input_tokens": 1, "output_tokens": 1},
            }
            end = {"stop_reason": stop, "stop_sequence": None}
            events: list[dict[str, Any]] = [
                {"type": "message_start", "message": message},
                {"type": "content_block_start", "index": 0, "content_block": block},
                {"type": "content_block_delta", "index": 0, "delta": delta},
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}},
                {"type": "message_stop"},
            ]
            lines = [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events]
            self._answer("".join(lines).encode(), "text/event-stream")

        def _answer(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _wants_a_tool(asked: dict[str, Any], tool: str) -> bool:
    """Whether the client offers the tool, and has not run it yet."""
    if tool not in [each.get("name") for each in asked.get("tools", [])]:
        return False
    contents = [each["content"] for each in asked["messages"] if isinstance(each["content"], list)]
    return not any(part.get("type") == "tool_result" for content in contents for part in content)
