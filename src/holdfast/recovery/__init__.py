"""Recovery: a whole workspace, one agent, one server or one store, back from a snapshot."""
