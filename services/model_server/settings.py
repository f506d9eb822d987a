"""Settings of the model server."""

from __future__ import annotations

from pydantic import Field

from services.model_server.core import SignalRule
from undertow.learning.grid import REST_NS
from undertow.learning.policy import PolicyRule
from undertow.learning.settings import ModelSettings
from undertow.runtime.settings import BusSettings, Section, ServiceSettings


class PolicySettings(Section):
    """`UNDERTOW_POLICY__*`."""

    seed: int = Field(default=7, ge=0, description="a whole number, 0 or more")
    prior_trades: float = Field(default=25.0, gt=0, description="trades per arm that the model's word weighs, above 0")
    prior_sd_bps: float = Field(default=25.0, gt=0, description="residual of one trade in bps, above 0")
    exploration_budget_bps: float = Field(
        default=10.0, ge=0, description="expected loss per hour in bps that explorations may cost, 0 or more"
    )

    def rule(self) -> PolicyRule:
        """Give the policy's numbers."""
        return PolicyRule(**self.model_dump())


class SignalSettings(Section):
    """`UNDERTOW_SIGNAL__*`."""

    valid_ms: float = Field(
        default=250.0, gt=0, description="market ms from the vector's arrival to the signal's deadline"
    )
    full_size_bps: float = Field(default=20.0, gt=0, description="drawn expectation in bps that deserves the full size")
    rest_ms: float = Field(
        default=REST_NS / 1e6,
        gt=0,
        description="market ms that an entry may rest, above 0; models are trained with the default",
    )

    def rule(self) -> SignalRule:
        """Give the numbers of a signal."""
        return SignalRule(round(self.valid_ms * 1e6), self.full_size_bps, round(self.rest_ms * 1e6))


class Settings(ServiceSettings):
    """`UNDERTOW_*` of the model server."""

    bus: BusSettings
    model: ModelSettings = ModelSettings()
    policy: PolicySettings = PolicySettings()
    signal: SignalSettings = SignalSettings()
