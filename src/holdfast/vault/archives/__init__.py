"""Archives: the whole workspace as one ``.tar.zst`` file that tar reads, encrypted if wished."""
