"""The outside world as the kiosk sees it: one Protocol per outside system.

Adapters implement these over Redis, a store, Triton and files; `kiosk.testing` implements
them in memory. Pipelines and the service know nothing else.
"""

from __future__ import annotations

from kiosk.ports.callers import IdentityProvider as IdentityProvider
from kiosk.ports.callers import KeyRing as KeyRing
from kiosk.ports.cluster import Cluster as Cluster
from kiosk.ports.cluster import LeaderRecord as LeaderRecord
from kiosk.ports.cluster import LeaderRecords as LeaderRecords
from kiosk.ports.cluster import Role as Role
from kiosk.ports.cluster import RoleReplicas as RoleReplicas
from kiosk.ports.images import File as File
from kiosk.ports.images import ImageEntry as ImageEntry
from kiosk.ports.images import ImageFiles as ImageFiles
from kiosk.ports.images import ImageSource as ImageSource
from kiosk.ports.images import Interruptible as Interruptible
from kiosk.ports.images import Window as Window
from kiosk.ports.images import channel_colors_of as channel_colors_of
from kiosk.ports.inference import InferenceClient as InferenceClient
from kiosk.ports.inference import ModelReplica as ModelReplica
from kiosk.ports.queue import Backlog as Backlog
from kiosk.ports.queue import JobQueue as JobQueue
from kiosk.ports.queue import ModelLoad as ModelLoad
from kiosk.ports.rollouts import RolloutBook as RolloutBook
from kiosk.ports.rollouts import RolloutChange as RolloutChange
from kiosk.ports.stores import ModelSource as ModelSource
from kiosk.ports.stores import ObjectStore as ObjectStore
from kiosk.ports.stores import SourceFile as SourceFile
