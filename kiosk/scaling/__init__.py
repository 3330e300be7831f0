"""How many replicas there should be: pure, no clock and no I/O.

`decide` looks at one `Snapshot` with one `ScalingPolicy`; the loop around it is `kiosk.autoscaler`.
"""

from kiosk.ports import RoleReplicas as RoleReplicas
from kiosk.scaling.decide import Decision as Decision
from kiosk.scaling.decide import decide as decide
from kiosk.scaling.policy import ScalingPolicy as ScalingPolicy
from kiosk.scaling.snapshot import Memory as Memory
from kiosk.scaling.snapshot import Snapshot as Snapshot
from kiosk.scaling.snapshot import Want as Want
from kiosk.scaling.starts import Starts as Starts
