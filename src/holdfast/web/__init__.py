"""The web page: a workspace in the browser, on this machine alone; ``holdfast ui`` serves it.

It holds no logic of its own: what it shows and does comes from the facade and the rooms below, as
in `holdfast.cli` and `holdfast.mcp_server`. `serving` the process · `app` all routes · `gate` who
may come in · `desk` the workspace opened, on a thread · `errands` commands run in processes of
their own · `surveys` answers of commands that take long · `page` the shape of a page · `rendering`
templates, secrets masked · `problems` errors as pages · `live` what changed, as server-sent events
· `tailing` log lines as they are written · `sampling` how full queues were · `charts`, `treemap`
geometry of drawings · `plans` what was agreed to is what is done · `pages/` the pages.

A page is a module ``pages/<name>.py`` and its template ``templates/<name>.html``::

    PAGE = Page("Queues", "/queues", "queues")     # its place in the navigation

    def routes() -> Sequence[Route]:
        return [
            show("/queues", "queues.html", queues),              # GET
            act("/queues/{name}/purge", purge),                  # POST
        ]

    def queues(workspace: Workspace, asked: Asked) -> dict[str, Any]:
        return {"rows": workspace.queue_rows()}                  # what the template is given

    def purge(workspace: Workspace, asked: Asked) -> Done:
        count = workspace.existing_queue(asked.path["name"]).purge()
        return Done("/queues", f"Deleted {count} messages")      # where to go, what to tell

- Views and actions are plain functions: they run on a thread with the workspace opened for them
  and closed after them. They never touch the request. What is wrong they raise as a
  `HoldfastError`: the reader sees its message, path and hint.
- An action is only ever a POST, checked for its origin and its CSRF token by `act`; what it
  destroys is one undo point. Its form in the template is made by the macros ``button`` or
  ``confirm`` (which names what is destroyed and asks first), so that the token is always there.
- What takes long, or runs code of the workspace, is an errand: ``asked.start([...])`` runs a
  ``holdfast`` command in a process of its own, and ``/errands/<id>`` shows what it says. What it
  answers with ``--json`` is kept by ``asked.errands.surveys.get([...], Kind)``: the page shows how
  old the answer is, and is renewed by watching "errands".
- A page that is needed when the settings cannot be read has `show_unopened` and `act_unopened`,
  whose functions get the `Layout`.
- A template extends ``layout.html`` and uses the macros of ``macros.html``. A part inside
  ``<section data-live id="…">`` is renewed when a store that ``{% set watches = "queues" %}``
  names changes. Every text is escaped and its secrets masked when it is printed; ``|as_json``
  prints data, ``link("/queues", name)`` builds a path, ``|typed`` gives a field back what was typed
  into it.
- No inline script or style anywhere: the browser would refuse it. Sizes in drawings are SVG
  attributes; ``static/holdfast.css`` has every colour once for light and once for dark.
"""
