"""All campaigns, in the order in which the evidence tells them. A new one is one module and one line here."""

from collections.abc import Sequence

from tests.adversity.campaign import Campaign
from tests.adversity.simulation.campaign import SIMULATION

CAMPAIGNS: Sequence[Campaign] = (SIMULATION,)


def campaign_named(name: str) -> Campaign:
    """The campaign of that name."""
    (found,) = (campaign for campaign in CAMPAIGNS if campaign.name == name)
    return found
