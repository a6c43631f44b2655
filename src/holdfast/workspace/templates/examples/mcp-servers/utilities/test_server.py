"""Run by scripts/test-runner.py: the tools as plain functions."""

import hashlib
import json
import unittest

import server
from mcp.server.mcpserver.exceptions import ToolError


class Tools(unittest.TestCase):
    """What the tools answer."""

    def test_a_digest_is_that_of_the_utf_8_bytes(self) -> None:
        self.assertEqual(server.hash_text("ä"), hashlib.sha256("ä".encode()).hexdigest())

    def test_a_moment_in_another_zone(self) -> None:
        moved = server.convert_time("2026-11-25T12:00:00+02:00", "UTC")
        self.assertEqual(moved, "2026-11-25T10:00:00+00:00")
        with self.assertRaises(ToolError):
            server.convert_time("noon", "UTC")

    def test_json_is_laid_out(self) -> None:
        text = server.format_json('{"b":1,"a":[]}', sort_keys=True)
        self.assertEqual(list(json.loads(text)), ["a", "b"])
        self.assertEqual(server.json_value('{"a":[1,2]}', "/a/1"), 2)

    def test_nothing_outside_of_the_workspace_is_read(self) -> None:
        for path in ("../secret.txt", str(server.ROOT.parent)):
            with self.assertRaises(ToolError):
                server.hash_file(path)


if __name__ == "__main__":
    unittest.main()
