"""Every kind of secret is found in every kind of file, and real settings files raise no alarm."""

import json
import random
import string
import sysconfig
from itertools import islice
from pathlib import Path

import pytest

from holdfast.secrets.kinds import GUESSED, KNOWN
from holdfast.secrets.scanning import find_secrets

ALPHABETS = {
    "a": string.ascii_letters + string.digits,
    "u": string.ascii_uppercase + string.digits,
    "b": string.ascii_uppercase + "234567",
    "h": string.digits + "abcdef",
    "d": string.digits,
    "w": string.ascii_letters + string.digits + "_",
    "s": string.ascii_letters + string.digits + "+/",
}
# What the providers write: in braces an alphabet and how many of it. Braces also keep scanners from
# taking this file for a leak.
SHAPES = {
    "private key": "-----BEGIN RSA PRIVATE{} KEY-----",
    "PuTTY private key": "PuTTY-User-Key-{}File-3: ssh-ed25519",
    "age secret key": "AGE-SECRET-{}KEY-1{u58}",
    "AWS access key": "AKIA{b16}",
    "AWS secret key": "aws_secret_access_key={a40}",
    "Azure storage key": "AccountKey={s86}==;EndpointSuffix=core",
    "Azure shared access signature": "https://x.blob.example/c?sv=1&sig={a43}%3D",
    "Google key": "AIza{w35}",
    "Google OAuth secret": "GOCSPX-{w28}",
    "Google OAuth token": "ya29.{w60}",
    "GitHub token": "ghp_{a36}",
    "GitLab token": "glpat-{a20}",
    "Anthropic key": "sk-ant-api03-{a90}",
    "OpenRouter key": "sk-or-v1-{h64}",
    "OpenAI key": "sk-proj-{a48}",
    "Groq key": "gsk_{a52}",
    "xAI key": "xai-{a80}",
    "Perplexity key": "pplx-{a48}",
    "Replicate token": "r8_{a37}",
    "Hugging Face token": "hf_{a34}",
    "Tavily key": "tvly-{a32}",
    "Slack token": "xoxb-{d12}-{d12}-{a24}",
    "Discord token": "M{a23}.{a6}.{a27}",
    "Discord webhook": "https://discord.com/api/webhooks/{d18}/{a68}",
    "Telegram token": "{d9}:AA{w33}",
    "Twilio key": "SK{h32}",
    "SendGrid key": "SG.{w22}.{w43}",
    "Mailgun key": "key-{h32}",
    "Mailchimp key": "{h32}-us12",
    "Stripe key": "sk_live_{a24}",
    "Square token": "sq0atp-{w22}",
    "Shopify token": "shpat_{h32}",
    "npm token": "npm_{a36}",
    "PyPI token": "pypi-AgE{w80}",
    "RubyGems key": "rubygems_{h48}",
    "crates.io token": "cio{a32}",
    "Docker Hub token": "dckr_pat_{w27}",
    "DigitalOcean token": "dop_v1_{h64}",
    "Heroku key": "HRKU-{a36}",
    "Fly.io token": "fo1_{w43}",
    "Netlify token": "nfp_{a36}",
    "Supabase token": "sbp_{h40}",
    "PlanetScale token": "pscale_tkn_{w43}",
    "Databricks token": "dapi{h32}",
    "HashiCorp Vault token": "hvs.{w90}",
    "Terraform Cloud token": "{a14}.atlasv1.{w67}",
    "Pulumi token": "pul-{h40}",
    "Doppler token": "dp.pt.{a43}",
    "1Password token": "ops_eyJ{a250}",
    "Grafana token": "glsa_{a32}_{h8}",
    "New Relic key": "NRAK-{u27}",
    "Sentry token": "sntrys_{a100}",
    "Postman key": "PMAK-{h24}-{h34}",
    "Linear key": "lin_api_{a40}",
    "Notion token": "ntn_{a46}",
    "Airtable token": "pat{a14}.{h64}",
    "Atlassian token": "ATATT3{w180}",
    "Figma token": "figd_{w40}",
    "Dropbox token": "sl.{w140}",
    "Alibaba Cloud key": "LTAI{a20}",
    "JSON web token": "eyJ{a30}.eyJ{a60}.{w43}",
    "bearer token": "Authorization: Bearer {a40}",
    "basic credentials": "Authorization: Basic {s40}",
    "password in a URL": "postgres://ann:{a16}@localhost/db",
}
WRAPPINGS = {
    "settings.json": '{{\n  "servers": {{"url": {}}}\n}}\n',
    "session.jsonl": '{{"type": "user", "message": {{"content": {}}}}}\n',
    "agent.log": '{{"timestamp": "2025-01-20T10:30:00Z", "message": {}}}\n',
    "snapshot-bash-1.sh": "export VALUE='{}'\n",
    ".env": "VALUE={}\n",
    "config.yaml": "server:\n  value: {}\n",
    "agent.py": "value = '{}'\n",
    "notes.md": "Use `{}` for it.\n",
}


def secret_of(shape: str, chance: random.Random) -> str:
    parts = shape.split("{")
    text = parts[0]
    for part in parts[1:]:
        code, _, rest = part.partition("}")
        if code:
            text += "".join(chance.choices(ALPHABETS[code[0]], k=int(code[1:])))
        text += rest
    return text


def test_the_corpus_has_every_kind_there_is() -> None:
    assert set(SHAPES) == {rule.kind for rule in (*KNOWN, *GUESSED)}
    assert len(SHAPES) >= 40


@pytest.mark.parametrize("name", WRAPPINGS)
def test_every_planted_secret_is_found(tmp_path: Path, name: str) -> None:
    missed = []
    for kind, shape in SHAPES.items():
        for seed in range(5):
            secret = secret_of(shape, random.Random(f"{kind} {seed}"))
            wrapped = json.dumps(secret) if ".js" in name or name == "agent.log" else secret
            (tmp_path / name).write_text(WRAPPINGS[name].format(wrapped), encoding="utf-8")
            if not list(find_secrets(tmp_path / name)):
                missed.append((kind, seed))
    assert missed == []


def real_settings_files() -> list[Path]:
    """Settings files that other people wrote: those of the packages installed here."""
    packages = Path(sysconfig.get_path("purelib"))
    endings = {".json", ".toml", ".cfg", ".ini", ".yaml", ".yml"}
    found = (path for path in sorted(packages.rglob("*")) if path.suffix in endings)
    return list(islice((path for path in found if path.stat().st_size < 1_000_000), 2_000))


def test_real_settings_files_raise_almost_no_alarm() -> None:
    files = real_settings_files()
    if len(files) < 100:
        pytest.skip(f"NOT TESTED: only {len(files)} settings files of other packages are here")
    alarms = [path for path in files if next(find_secrets(path), None) is not None]
    assert len(alarms) < 0.02 * len(files), alarms
