"""Which passwords are refused.

Source: NIST SP 800-63B section 5.1.1.2 (length and a list of common values instead of composition rules).
"""

from typing import Final

from chassis.errors import InvalidArgument, Violation

SHORTEST: Final = 10
_SHORTEST_NAME: Final = 4

# The most common values of ten and more characters; shorter ones are refused by their length.
_LISTED = """
1234567890 0123456789 0987654321 9876543210 12345678910 123456789a 1234567891 12345678901 123456789q
1111111111 0000000000 1212121212 1231231231 1234512345 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx3edc q1w2e3r4t5
qwertyuiop qwerty12345 qwerty123456 qwertyuiop123 asdfghjkl1 zaq12wsxcde password12 password123
password1234 password12345 passwordpassword password2024 password2025 password2026 p@ssw0rd123
passw0rd123 iloveyou123 iloveyou12 letmein123 letmein1234 welcome123 welcome1234 welcome2025 welcome2026
administrator admin12345 admin123456 changeme123 changemenow football12 football123 baseball123
superman123 princess123 sunshine123 dragon12345 monkey12345 michael123 charlie123 abcdefghij abcdefghijk
abcd123456 abc1234567 abcdef12345 aaaaaaaaaa qazwsxedcrf trustno1trustno1 whatever123 starwars123
computer123 internet123 samsung123 greenledger greenledger1 greenledger123
"""
COMMON: Final = frozenset(_LISTED.split())


def require_strong(password: str, email: str) -> None:
    """Refuse a password that would be among the first guesses.

    Args:
        password: in plain text.
        email: of its owner.

    Raises:
        InvalidArgument: PASSWORD_WEAK.
    """
    weakness = _weakness(password.casefold(), email.casefold().partition("@")[0])
    if weakness:
        raise InvalidArgument(
            "PASSWORD_WEAK", f"the password {weakness}", violations=(Violation("password", weakness),)
        )


def _weakness(password: str, name: str) -> str:
    if len(password) < SHORTEST:
        return f"needs at least {SHORTEST} characters"
    if password.strip() in COMMON or len(set(password)) < 4:
        return "is one of the most common"
    # A name of two or three letters is part of too many good passwords.
    if len(name) >= _SHORTEST_NAME and name in password:
        return "must not contain the e-mail address"
    return ""
