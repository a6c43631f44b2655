"""The schedule: jobs by the clock and on change, the system's scheduler, the watcher."""
