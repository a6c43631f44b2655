"""What tools take, each kind with its bounds: a wrong call is told before it does anything."""

from typing import Annotated

from pydantic import Field

Name = Annotated[str, Field(min_length=1, max_length=300)]
Text = Annotated[str, Field(min_length=1, max_length=2_000)]
Reason = Annotated[str, Field(max_length=2_000)]
Limit = Annotated[int, Field(ge=1, le=1_000)]
Few = Annotated[int, Field(ge=1, le=50)]
Path = Annotated[str, Field(min_length=1, max_length=4_096)]
Paths = Annotated[list[Path], Field(max_length=500)]
Names = Annotated[list[Name], Field(max_length=100)]
Seconds = Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]
Wait = Annotated[
    float, Field(ge=0, le=50, allow_inf_nan=False, description="Wait so many seconds for its end.")
]
Moment = Annotated[
    str, Field(max_length=64, description="2h (ago), yesterday, today, 2026-11-23T10:30 or …Z.")
]
SnapshotRef = Annotated[
    str,
    Field(
        pattern=r"^(latest|[0-9a-fA-F]{4,64})$",
        description="`latest`, or the first digits (4 or more) of a snapshot's id.",
    ),
]
Destination = Annotated[
    str, Field(min_length=1, max_length=128, description="A destination's name; else the first.")
]
Confirm = Annotated[
    str,
    Field(max_length=8_000, description="Exactly the text `confirm` of the plan, once you saw it."),
]
