"""Storage engines: one connection module each, chosen by URL and imported when a URL names it."""
