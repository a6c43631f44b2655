"""Code that the agents and servers of this workspace share."""
