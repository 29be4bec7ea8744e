"""A reference consumer of booking events: a Notification Dispatcher that tells each member everything once.

Events come at least once, perhaps late, perhaps in another order; messages go out exactly once. What makes the
difference is the inbox: an event and what follows from it become durable in one transaction, under the event's own
identity.

    python -m steps.dispatcher --events log:events.jsonl --out sent.jsonl --follow

It stands alone: it knows the envelope (schemas/booking-event.json) and nothing of bookings.
"""
