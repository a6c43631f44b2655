"""What counts as a secret, and what does not."""

from pathlib import Path

import pytest

from holdfast.secrets.scanning import find_secrets

# Put together here, so that no scanner takes this file for a leak.
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
RANDOM = "q8Zr2LxW0v" + "Kp5TnY7uBd3Mc"
LEAKS = [
    ("id_rsa", "-----BEGIN OPENSSH " + "PRIVATE KEY-----", "private key"),
    ("a.py", "key = 'AKIA" + "Z7QH2NB4VK5LMXTD'", "AWS access key"),
    ("a.sh", f"export T={GITHUB}", "GitHub token"),
    ("a.md", "github_" + "pat_" + "A1b2C3d4E5f6G7h8I9j0K1", "GitHub token"),
    ("a.py", "c = Client('sk-" + "ant-api03-" + RANDOM + "')", "Anthropic key"),
    ("a.py", "c = Client('sk-" + "proj-" + RANDOM + "')", "OpenAI key"),
    ("a.py", "t = 'xox" + "b-123456789012-abcdefABCDEF'", "Slack token"),
    ("a.txt", "eyJ" + "hbGciOiJIUzI1.eyJ" + "zdWIiOiIxMjM0.dBjftJeZ4CVP_mB", "JSON web token"),
    ("a.py", "h = 'Authorization: Bearer " + RANDOM + "'", "bearer token"),
    ("a.py", "u = 'postgres://ann:" + RANDOM[:12] + "@db/x'", "password in a URL"),
    (".env", "STRIPE=" + RANDOM, "random value in the environment"),
    (".env.local", "DB_PASSWORD=hunter2-and-more", "secret setting"),
    ("a.json", '{"api_key": "' + RANDOM + '"}', "secret setting"),
    ("a.yaml", "  clientSecret: " + RANDOM, "secret setting"),
    ("m.json", '{"mcpServers": {"x": {"env": {"X": "' + RANDOM + '"}}}}', "random value"),
]
HARMLESS = [
    ("a.py", "token = get_token(request)"),
    ("a.py", "api_key = os.environ['API_KEY']"),
    (".env.example", "API_KEY=your-key-here-1234567890"),
    ("a.json", '{"apiKey": "${API_KEY}", "max_tokens": 4096, "token": "<your token 123>"}'),
    ("a.json", '{"integrity": "sha512-' + RANDOM * 3 + '"}'),
    ("a.json", '{"env": {"PATH": "/usr/local/bin/some-program-1", "LANG": "en_US.UTF-8"}}'),
    ("a.json", '{"env": {"PYTHONPATH": "C:\\\\Users\\\\Corbin\\\\development1"}}'),
    ("a.md", "AKIA" + "IOSFODNN7EXAMPLE is what AWS writes in its manual"),
    ("a.md", "https://user@example.org/path and https://example.org:8080/x@y"),
    ("a.py", f"x = '{GITHUB}'  # pragma: allowlist secret"),
    ("a.py", "commit = '" + "0123456789abcdef" * 2 + "01234567'"),
]


@pytest.mark.parametrize(("name", "text", "kind"), LEAKS)
def test_leaks_are_found_masked_and_by_line(
    tmp_path: Path, name: str, text: str, kind: str
) -> None:
    (tmp_path / name).write_text(f"first\n\n{text}\n", encoding="utf-8", newline="\n")
    found = list(find_secrets(tmp_path / name))
    assert [secret.line for secret in found] == [3]
    assert found[0].kind.startswith(kind)
    assert found[0].value.decode() not in found[0].masked


@pytest.mark.parametrize(("name", "text"), HARMLESS)
def test_harmless_lines_are_left_alone(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text + "\n", encoding="utf-8", newline="\n")
    assert list(find_secrets(tmp_path / name)) == []


def test_a_binary_file_has_none_and_a_long_line_is_no_trap(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"\0" + GITHUB.encode())
    assert list(find_secrets(tmp_path / "x.bin")) == []
    (tmp_path / "x.json").write_bytes(b'{"data": "' + b"Ab1token_-./" * 200_000 + b'"}')
    assert list(find_secrets(tmp_path / "x.json")) == []


def test_lines_count_on_behind_the_first_batch(tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_bytes(b"x" * 99 + b"\n")
    with (tmp_path / "big.txt").open("ab") as file:
        file.write((b"y" * 99 + b"\n") * 100_000 + GITHUB.encode())
    assert [secret.line for secret in find_secrets(tmp_path / "big.txt")] == [100_002]
