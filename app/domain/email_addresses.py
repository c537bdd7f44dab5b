"""What may be an e-mail address of somebody who signs in."""

LONGEST_EMAIL = 254


def may_be_email(email: str) -> bool:
    """Something, an @ and something; whether it is one only a letter to it can tell.

    Addresses are compared in lower case. One that becomes plain ASCII only there ("mi\u212ae" with a Kelvin sign) would
    be taken for somebody else's.
    """
    local, _, host = email.rpartition("@")
    if not local or not host or len(email) > LONGEST_EMAIL or not email.isprintable() or " " in email:
        return False
    return email.isascii() or not email.lower().isascii()
