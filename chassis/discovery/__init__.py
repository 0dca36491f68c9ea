"""How a process finds others, is found, and learns of what changes while it runs."""

from chassis.discovery.bootstrap import bootstrap, configure
from chassis.discovery.breaker_news import BreakerNews
from chassis.discovery.configuration import LiveConfiguration
from chassis.discovery.policies import Policies, call_policy
from chassis.discovery.process import Discovery
from chassis.discovery.registration import Registrar, instance_of
from chassis.discovery.watch import Watch

__all__ = [
    "BreakerNews",
    "Discovery",
    "LiveConfiguration",
    "Policies",
    "Registrar",
    "Watch",
    "bootstrap",
    "call_policy",
    "configure",
    "instance_of",
]
