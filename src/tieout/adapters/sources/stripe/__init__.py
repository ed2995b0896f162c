"""Stripe API objects: how files hold them, what each object says, which of its states is the later."""
