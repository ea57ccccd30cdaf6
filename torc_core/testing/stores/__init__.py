"""The contract of a store: subclass `StoreContract`, give it a `store` fixture, and these tests judge it.

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self, clock):
            with closing(MyStore(..., clock)) as store:
                yield store

The fixture `clock` is torc's own; a store that does not take its time from it cannot pass. A store that is still
there after it was closed keeps `DurableStoreContract` instead, and says how it is opened again.
"""

from __future__ import annotations

from torc_core.testing.stores.actions import ActionContract
from torc_core.testing.stores.agreement import AgreementContract
from torc_core.testing.stores.allocations import AllocationContract
from torc_core.testing.stores.catalog import CatalogContract
from torc_core.testing.stores.claims import ClaimContract
from torc_core.testing.stores.concurrency import ConcurrencyContract
from torc_core.testing.stores.creation import CreationContract
from torc_core.testing.stores.durability import DurabilityContract
from torc_core.testing.stores.failures import FailureContract
from torc_core.testing.stores.finishing import FinishingContract
from torc_core.testing.stores.flowing import FlowAgreementContract
from torc_core.testing.stores.holding import HoldingContract
from torc_core.testing.stores.lifecycle import LifecycleContract
from torc_core.testing.stores.liveness import LivenessContract
from torc_core.testing.stores.node_loss import NodeLossContract
from torc_core.testing.stores.operations import OperationContract
from torc_core.testing.stores.permissions import PermissionContract
from torc_core.testing.stores.queries import QueryContract
from torc_core.testing.stores.records import RecordContract
from torc_core.testing.stores.recovering import RecoveringContract
from torc_core.testing.stores.releasing import ReleaseContract
from torc_core.testing.stores.resetting import ResettingContract
from torc_core.testing.stores.runs import RunContract
from torc_core.testing.stores.spawning import SpawnContract
from torc_core.testing.stores.together import TogetherContract
from torc_core.testing.stores.transfer import TransferContract
from torc_core.testing.stores.turns import TurnContract
from torc_core.testing.stores.whereabouts import WhereaboutsContract


class StoreContract(
    CreationContract,
    ClaimContract,
    HoldingContract,
    TurnContract,
    FinishingContract,
    ReleaseContract,
    LifecycleContract,
    RunContract,
    ResettingContract,
    QueryContract,
    CatalogContract,
    LivenessContract,
    NodeLossContract,
    RecordContract,
    RecoveringContract,
    TransferContract,
    PermissionContract,
    AllocationContract,
    WhereaboutsContract,
    ActionContract,
    FailureContract,
    SpawnContract,
    OperationContract,
    ConcurrencyContract,
    AgreementContract,
    FlowAgreementContract,
):
    """Everything that a store has to do; `shared = False` for one that only one thread may use."""


class EmbeddedStoreContract(StoreContract, TogetherContract):
    """The same for stores that a server serves to others (`Embedded`)."""


class DurableStoreContract(StoreContract, DurabilityContract):
    """The same for stores that outlive their process; needs a `reopen` method as well."""


__all__ = ["DurableStoreContract", "EmbeddedStoreContract", "StoreContract"]
