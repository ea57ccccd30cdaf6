"""What it means that an allocation waits for this or that: the words of squeue's reasons, in sentences."""

from __future__ import annotations

MEANINGS = (
    ("Priority", "others with a higher priority come before it"),
    ("Resources", "its nodes are not free yet"),
    ("Dependency", "it starts when the one before it has ended"),
    ("Licenses", "a license is not free"),
    ("BeginTime", "its earliest begin has not come, as after a requeue"),
    ("Cleaning", "its earlier run is still being cleaned up"),
    ("Reservation", "its reservation has not begun"),
    ("ReqNodeNotAvail", "a node that it needs is down, drained or reserved; a maintenance may be coming"),
    ("PartitionTimeLimit", "it asks for longer than the partition allows: it will never start"),
    ("PartitionNodeLimit", "it asks for more nodes than the partition allows: it will never start"),
    ("PartitionDown", "the partition is down"),
    ("PartitionInactive", "the partition starts nothing"),
    ("PartitionConfig", "the partition does not allow what it asks for"),
    ("InvalidAccount", "its account is not valid (any more): it will never start"),
    ("InvalidQOS", "its QOS is not valid (any more): it will never start"),
    ("AccountNotAllowed", "its account may not use the partition: it will never start"),
    ("QOSNotAllowed", "its QOS may not use the partition: it will never start"),
    ("JobHeldUser", "it is held by its user: scontrol release"),
    ("JobHeldAdmin", "it is held by an administrator"),
    ("JobArrayTaskLimit", "enough of its array run"),
    ("BadConstraints", "no node has what it asks for: it will never start"),
    ("NodeDown", "a node that it needs is down"),
    ("SchedDefer", "the scheduler has put it off"),
    ("DeadLine", "it cannot end before its deadline"),
)
"""By how the word begins; what is more special comes before."""
LIMITS = (
    ("Minutes", "the budget of node or CPU hours is used up"),
    ("RunTime", "the budget of node or CPU hours is used up"),
    ("MaxWall", "it asks for longer than allowed"),
    ("MaxSubmit", "too many are in the queue"),
    ("MaxJobs", "so many jobs run as are allowed"),
    ("GrpJobs", "so many jobs run as are allowed together"),
    ("MaxNode", "it would use more nodes than allowed"),
    ("GrpNode", "all together would use more nodes than allowed"),
    ("MaxCpu", "it would use more CPUs than allowed"),
    ("GrpCpu", "all together would use more CPUs than allowed"),
    ("MaxGRES", "it would use more GPUs than allowed"),
    ("GrpGRES", "all together would use more GPUs than allowed"),
    ("MaxMem", "it would use more memory than allowed"),
    ("GrpMem", "all together would use more memory than allowed"),
)
"""By what the word has after `QOS` or `Assoc`."""
WHOSE = (("QOS", "its QOS"), ("Assoc", "its account"))


def meaning(reason: str) -> str:
    """What a reason of squeue means, with the word itself; only the word where nobody knows."""
    # `ReqNodeNotAvail, UnavailableNodes:n[1-2]`
    first = reason.strip().strip("()").partition(",")[0]
    for start, whose in WHOSE:
        if first.startswith(start):
            for part, text in LIMITS:
                if part.lower() in first.lower():
                    return f"{first}: {text} for {whose}"
    for start, text in MEANINGS:
        if first.startswith(start):
            return f"{first}: {text}"
    return first
