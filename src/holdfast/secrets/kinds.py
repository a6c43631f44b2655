"""The shapes of secrets: what each provider writes before, and into, its tokens.

The shapes are those that the providers publish for secret scanning.
"""

import re
from typing import NamedTuple


class Rule(NamedTuple):
    """A kind of secret. The slow `pattern` is tried only where one of the `marks` occurs."""

    kind: str
    marks: tuple[bytes, ...]
    pattern: re.Pattern[bytes]


def _rule(kind: str, marks: str, pattern: str) -> Rule:
    """`marks` are separated by blanks; group 1 of `pattern` is the secret."""
    return Rule(kind, tuple(mark.encode() for mark in marks.split()), re.compile(pattern.encode()))


def _prefixed(kind: str, prefix: str, rest: str) -> Rule:
    """Tokens that begin with `prefix`, then `rest`, and are no part of a longer word.

    What must not be before the prefix is asked behind it: so the search leaps
    from prefix to prefix.
    """
    begin = re.escape(prefix)
    return _rule(kind, prefix, rf"({begin}(?<![A-Za-z0-9_-]{begin}){rest})(?![A-Za-z0-9_-])")


_KEY_HEADER = "-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"

KNOWN = (
    Rule("private key", (b"PRIVATE KEY",), re.compile(f"({_KEY_HEADER})".encode())),
    _rule("PuTTY private key", "PuTTY-User-Key-File-", r"(PuTTY-User-Key-File-\d: [\w-]+)"),
    _rule("age secret key", "AGE-SECRET-KEY-", r"\b(AGE-SECRET-KEY-1[A-Z0-9]{50,})"),
    _rule(
        "AWS access key",
        "AKIA ASIA",
        r"(?<![A-Za-z0-9])((?:AKIA|ASIA)[A-Z2-7]{16})(?![A-Za-z0-9])",
    ),
    _rule("Azure storage key", "AccountKey=", r"AccountKey=([A-Za-z0-9+/]{86}==)"),
    _rule("Azure shared access signature", "sig=", r"[?&]sig=([A-Za-z0-9%]{43,}%3D)"),
    _rule("Google key", "AIza", r"\b(AIza[A-Za-z0-9_-]{35})"),
    _rule("Google OAuth secret", "GOCSPX-", r"\b(GOCSPX-[A-Za-z0-9_-]{28})"),
    _rule("Google OAuth token", "ya29.", r"\b(ya29\.[A-Za-z0-9_-]{30,})"),
    _rule(
        "GitHub token",
        "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_",
        r"\b(gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})",
    ),
    _rule("GitLab token", "glpat- gldt- glrt- glcbt-", r"\b(gl(?:pat|dt|rt|cbt)-[\w-]{20,})"),
    _rule("Anthropic key", "sk-ant-", r"\b(sk-ant-[A-Za-z0-9_-]{20,})"),
    _rule("OpenRouter key", "sk-or-", r"\b(sk-or-v1-[0-9a-f]{64})\b"),
    _rule(
        "OpenAI key",
        "sk-",
        r"\b(sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}|sk-(?!ant-|or-)[A-Za-z0-9]{32,})",
    ),
    _prefixed("Groq key", "gsk_", r"[A-Za-z0-9]{40,}"),
    _prefixed("xAI key", "xai-", r"[A-Za-z0-9]{70,}"),
    _prefixed("Perplexity key", "pplx-", r"[A-Za-z0-9]{40,}"),
    _prefixed("Replicate token", "r8_", r"[A-Za-z0-9]{37,}"),
    _prefixed("Hugging Face token", "hf_", r"[A-Za-z0-9]{30,}"),
    _prefixed("Tavily key", "tvly-", r"[A-Za-z0-9-]{20,}"),
    _rule(
        "Slack token",
        "xox xapp- hooks.slack.com",
        r"\b(xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}"
        r"|hooks\.slack\.com/services/T\w+/B\w+/\w{16,})",
    ),
    _rule(
        "Discord token",
        ".",
        r"([MNO](?<![\w.-].)[A-Za-z\d_-]{23,25}\.[A-Za-z\d_-]{6}\.[A-Za-z\d_-]{27,38})(?![\w.-])",
    ),
    _rule(
        "Discord webhook",
        "discord.com/api/webhooks discordapp.com/api/webhooks",
        r"(discord(?:app)?\.com/api/webhooks/\d{17,20}/[\w-]{60,})",
    ),
    _rule("Telegram token", ":AA", r"(?<!\d)(\d{8,10}:AA[A-Za-z0-9_-]{33})(?![A-Za-z0-9_-])"),
    _rule("Twilio key", "SK", r"(SK(?<![A-Za-z0-9]SK)[0-9a-f]{32})(?![A-Za-z0-9])"),
    _rule("SendGrid key", "SG.", r"\b(SG\.[\w-]{22}\.[\w-]{43})"),
    _rule("Mailgun key", "key-", r"(key-(?<![A-Za-z0-9]key-)[0-9a-f]{32})(?![A-Za-z0-9])"),
    _rule("Mailchimp key", "-us", r"(?<![A-Za-z0-9])([0-9a-f]{32}-us\d{1,2})(?![A-Za-z0-9])"),
    _rule("Stripe key", "k_live_ whsec_", r"\b([sr]k_live_[A-Za-z0-9]{20,}|whsec_[\w+/=]{32,})"),
    _rule("Square token", "sq0atp- sq0csp-", r"\b(sq0(?:atp|csp)-[\w-]{22,})"),
    _rule(
        "Shopify token",
        "shpat_ shpca_ shppa_ shpss_",
        r"\b(shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32})\b",
    ),
    _rule("npm token", "npm_", r"\b(npm_[A-Za-z0-9]{36})\b"),
    _rule("PyPI token", "pypi-AgE", r"\b(pypi-AgE[\w-]{50,})"),
    _prefixed("RubyGems key", "rubygems_", r"[0-9a-f]{48}"),
    _prefixed("crates.io token", "cio", r"[A-Za-z0-9]{32}"),
    _prefixed("Docker Hub token", "dckr_pat_", r"[\w-]{27}"),
    _rule("DigitalOcean token", "dop_v1_ doo_v1_ dor_v1_", r"\b(do[opr]_v1_[0-9a-f]{64})\b"),
    _prefixed("Heroku key", "HRKU-", r"[A-Za-z0-9_-]{36,}"),
    _rule("Fly.io token", "FlyV1 fo1_", r"(FlyV1 fm2_[\w+/=,]{50,}|\bfo1_[\w-]{43})"),
    _prefixed("Netlify token", "nfp_", r"[A-Za-z0-9]{36,}"),
    _prefixed("Supabase token", "sbp_", r"[0-9a-f]{40}"),
    _prefixed("PlanetScale token", "pscale_tkn_", r"[\w.-]{30,}"),
    _prefixed("Databricks token", "dapi", r"[0-9a-f]{32}(?:-\d)?"),
    _prefixed("HashiCorp Vault token", "hvs.", r"[\w-]{24,}"),
    _rule("Terraform Cloud token", ".atlasv1.", r"\b(\w{14}\.atlasv1\.[\w-]{60,})"),
    _prefixed("Pulumi token", "pul-", r"[0-9a-f]{40}"),
    _rule("Doppler token", "dp.", r"\b(dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,})"),
    _prefixed("1Password token", "ops_eyJ", r"[A-Za-z0-9+/=_-]{100,}"),
    _rule(
        "Grafana token", "glsa_ glc_", r"\b(glsa_\w{32}_[0-9a-f]{8}|glc_[A-Za-z0-9+/]{32,}={0,2})"
    ),
    _prefixed("New Relic key", "NRAK-", r"[A-Z0-9]{27}"),
    _rule("Sentry token", "sntrys_ sntryu_", r"\b(sntry[su]_[A-Za-z0-9+/=_-]{40,})"),
    _prefixed("Postman key", "PMAK-", r"[0-9a-f]{24}-[0-9a-f]{34}"),
    _prefixed("Linear key", "lin_api_", r"[A-Za-z0-9]{40}"),
    _prefixed("Notion token", "ntn_", r"[A-Za-z0-9]{40,}"),
    _rule("Airtable token", "pat", r"\b(pat[A-Za-z0-9]{14}\.[0-9a-f]{64})\b"),
    _prefixed("Atlassian token", "ATATT3", r"[\w=-]{100,}"),
    _prefixed("Figma token", "figd_", r"[\w-]{40,}"),
    _rule("Dropbox token", "sl.", r"(?<![\w.-])(sl\.(?:u\.)?[\w-]{130,})"),
    _prefixed("Alibaba Cloud key", "LTAI", r"[A-Za-z0-9]{16,20}"),
    _rule(
        "JSON web token",
        "eyJ",
        r"\b(eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})",
    ),
)
"""What is a secret wherever it stands."""

GUESSED = (
    _rule("bearer token", "earer EARER", r"(?i)\bbearer[ \t]+([A-Za-z0-9._~+/-]{20,}={0,2})"),
    _rule("basic credentials", "asic", r"(?i)\bbasic[ \t]+([A-Za-z0-9+/]{16,}={0,2})(?![\w+/])"),
    _rule(
        "password in a URL",
        "://",
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>]*:([^\s/:@\"'<>]{6,100})@[\w.\[-]",
    ),
    _rule(
        "AWS secret key",
        "secret_access_key SECRET_ACCESS_KEY ecretAccessKey",
        r"(?i)aws_?secret_?access_?key[\"']?\s*[:=]\s*[\"']?"
        r"([A-Za-z0-9/+=]{40})(?![A-Za-z0-9/+=])",
    ),
)
"""What is a secret only if the value is no placeholder and looks random, or is a password."""
