"""EPCIS 2.0 and CBV 2.0 without any machinery: identifiers, events, documents, their hash and plausibility.

`parse`, `render` and `reading` turn JSON into the `model` and back, `event_hash` identifies an event, `facts`
states it in canonical terms, `findings` says what does not fit with what is `known`.
"""
