"""Mechanisms that know no service: storage, messaging, sagas, projections, runtime."""
