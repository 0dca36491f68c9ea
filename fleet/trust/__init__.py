"""The fleet's own certificate authority: who takes part proves it by a short-lived certificate."""

from fleet.trust.authority import Authority, rotate_authority
from fleet.trust.renewal import Renewal

__all__ = ["Authority", "Renewal", "rotate_authority"]
