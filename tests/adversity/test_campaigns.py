"""Each campaign's share for this machine, and each of its negative controls. `make adversity` plays them at full size."""

import os
import sys

import pytest

from tests.adversity.campaign import Campaign
from tests.adversity.campaigns import CAMPAIGNS
from tests.contract.engines import unless_missing

CONTROLS = [(campaign, control) for campaign in CAMPAIGNS for control in campaign.controls]


@pytest.mark.slow
@pytest.mark.parametrize("campaign", CAMPAIGNS, ids=lambda campaign: campaign.name)
def test_no_case_of_the_campaign_fails(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    unless_missing(campaign.name, campaign.missing())
    size = campaign.sizes.ci if os.environ.get("CI") == "true" else campaign.sizes.laptop
    figures = campaign.run(0, size)
    with capsys.disabled():
        # Not on the standard output, which a worker of several has given away.
        print(f"\n{campaign.name}: {size} {campaign.unit}: {dict(sorted(figures.counts.items()))}", file=sys.stderr)
    assert not figures.failures


@pytest.mark.slow
@pytest.mark.parametrize(("campaign", "control"), CONTROLS, ids=[f"{campaign.name}-{name}" for campaign, name in CONTROLS])
def test_the_campaign_catches_its_broken_variant(campaign: Campaign, control: str) -> None:
    unless_missing(campaign.name, campaign.missing())
    assert campaign.controls[control]() > 0
