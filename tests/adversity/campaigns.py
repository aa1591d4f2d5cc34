"""All campaigns, in the order in which the evidence tells them. A new one is one module and one line here."""

from collections.abc import Sequence

from tests.adversity import crash_calls, crash_server, crash_store, crash_syscalls, faulty_disk, faulty_syscalls, power_loss
from tests.adversity.campaign import Campaign
from tests.adversity.canonical_forms import CANONICAL_FORMS
from tests.adversity.forgeries import FORGERIES
from tests.adversity.fuzzing.campaigns import FUZZING
from tests.adversity.lockouts import WRONG_CONTEXTS
from tests.adversity.mutations import MUTATIONS
from tests.adversity.network import LOST_ANSWERS
from tests.adversity.network_to_dynamodb import LOST_STORE_ANSWERS
from tests.adversity.openapi import OPENAPI
from tests.adversity.races import RACES
from tests.adversity.secrets_everywhere import SECRETS
from tests.adversity.simulation.campaign import SIMULATION
from tests.adversity.transaction_digests import TRANSACTION_DIGESTS

CAMPAIGNS: Sequence[Campaign] = (
    SIMULATION,
    crash_store.CAMPAIGN,
    crash_server.CAMPAIGN,
    crash_calls.CAMPAIGN,
    crash_syscalls.CAMPAIGN,
    power_loss.CAMPAIGN,
    faulty_disk.CAMPAIGN,
    faulty_syscalls.CAMPAIGN,
    *RACES,
    WRONG_CONTEXTS,
    FORGERIES,
    LOST_ANSWERS,
    LOST_STORE_ANSWERS,
    *FUZZING,
    OPENAPI,
    MUTATIONS,
    CANONICAL_FORMS,
    TRANSACTION_DIGESTS,
    SECRETS,
)


def campaign_named(name: str) -> Campaign:
    """The campaign of that name."""
    (found,) = (campaign for campaign in CAMPAIGNS if campaign.name == name)
    return found
