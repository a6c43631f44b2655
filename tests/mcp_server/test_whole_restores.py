"""A whole workspace restored in place by the server that works in it."""

from pathlib import Path

from holdfast.facade import Workspace
from tests.mcp_server.conftest import Session, Talk


def contents(folder: Path) -> set[str]:
    return {path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_everything_goes_back_and_forth(talk: Talk, workspace: Workspace) -> None:
    root = workspace.layout.root
    notes = root / "shared" / "notes"
    notes.mkdir()
    for number in range(1_500):
        (notes / f"a-note-with-a-rather-long-name-{number:05}.txt").write_text(
            str(number), encoding="utf-8"
        )

    async def conversation(session: Session) -> None:
        await session.call("queue_put", queue="jobs", body=1)
        await session.call("event_append", stream="s", type="t")
        assert (await session.call("backup_create")).data["healthy"]
        await session.call("queue_put", queue="jobs", body=2)
        for path in notes.iterdir():
            path.write_text("lost", encoding="utf-8")
        plan = (await session.call("plan_restore")).data
        assert plan["leftOut"]["plan.plan"] > 0
        assert plan["confirm"].startswith("restore the whole workspace from snapshot ")
        done = await session.call("restore", confirm=plan["confirm"])
        assert done.data.get("healthy"), done
        assert {path.read_text(encoding="utf-8") for path in notes.iterdir()} == set(
            map(str, range(1_500))
        )
        [row] = (await session.call("queues_list")).data["queues"]
        assert row["ready"] == 1
        points = (await session.call("undo_list")).data["points"]
        assert points[0]["command"].startswith("mcp restore")
        back = (await session.call("undo", point=points[0]["id"])).data
        undone = await session.call("undo", point=points[0]["id"], confirm=back["confirm"])
        assert undone.data.get("done"), undone
        assert contents(notes) == {"lost"}

    talk(conversation)
