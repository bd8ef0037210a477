"""Make and check tokens for a FEDn controller. FEDn has no command to make them.

A token is a JSON web token (RFC 7519), signed with the secret in the environment of the controller
and the combiner. It states the role of its bearer and when it expires. `fednkit serve` also
requires a site's token to name the site.
"""

import os
import time
import uuid
from dataclasses import dataclass
from typing import Any, Literal

from ..project.errors import ProjectError

__all__ = [
    "SECRET",
    "Options",
    "checked_claims",
    "make_token",
    "run",
    "secret_of",
    "site_claims",
]

SECRET = "FEDN_JWT_SECRET_KEY"  # noqa: S105, the name of the variable
# client: a site. admin: the initiator. FEDn 0.33 uses a third role, combiner, only on a route that
# is obsolete.
Role = Literal["client", "admin"]
# As long as the signature (RFC 7518, section 3.2), because a token allows offline guessing.
MIN_SECRET_BYTES = 32
DAY_SECONDS = 24 * 60 * 60
MAX_DAYS = 36500


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `fednkit token`.

    Attributes:
        role: What the token allows: client to join as a site, admin to upload and start sessions.
        site: Name of the site that the token is for; required by `fednkit serve`.
        days: Days until the token expires.
        secret_env: Environment variable that holds the controller's secret.

    Raises:
        ProjectError: An option is out of range or conflicts with another one.
    """

    role: Role
    site: str | None = None
    days: float = 365
    secret_env: str = SECRET

    def __post_init__(self) -> None:
        if not 0 < self.days <= MAX_DAYS:
            raise ProjectError(f"--days: expected above 0 to {MAX_DAYS}, found {self.days:g}")
        if self.site and self.role != "client":
            raise ProjectError("--site: requires --role client")


def run(options: Options) -> None:
    """Print a token and nothing else."""
    secret = secret_of(options.secret_env)
    print(make_token(secret, options.role, options.days, options.site))


def secret_of(variable: str) -> str:
    """Return the secret in an environment variable. Raises `ProjectError` if it is too short."""
    secret = os.environ.get(variable, "")
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise ProjectError(
            f"{variable}: expected the controller's secret in this environment variable, "
            f"{MIN_SECRET_BYTES} characters or more, found {len(secret) or 'nothing'}; "
            "make a new one: openssl rand -hex 32"
        )
    return secret


def make_token(secret: str, role: Role, days: float, site: str | None = None) -> str:
    """Make a token.

    Args:
        secret: The controller's secret.
        role: The role in the token.
        days: Days from now until it expires.
        site: Name of the site that it is for; adds a new random client id to the claims.
    """
    # Imported late, because server.py needs only a constant of this module.
    import jwt

    claims: dict[str, str | int] = {"role": role, "exp": int(time.time() + days * DAY_SECONDS)}
    if site:
        claims |= {"site": site, "client_id": str(uuid.uuid4())}
    token: str = jwt.encode(claims, secret, algorithm="HS256")
    return token


def site_claims(token: str) -> tuple[str, str] | None:
    """Return the site's name and client id in a token, without verifying it; None if missing."""
    import jwt

    try:
        claims = jwt.decode(token, options={"verify_signature": False})
        return str(claims["site"]), str(claims["client_id"])
    except (jwt.InvalidTokenError, KeyError):
        return None


def checked_claims(header: str, secret: str) -> dict[str, Any]:
    """Return the claims of the token in an Authorization header.

    Raises:
        ValueError: The token is missing, expired, or signed with another secret; FEDn's message.
    """
    import jwt

    token = header.partition(" ")[2]
    words = "Invalid token" if token else "Missing token"
    try:
        claims: dict[str, Any] = jwt.decode(token, secret, algorithms=["HS256"])
    except jwt.ExpiredSignatureError:
        words = "Token expired"
    except jwt.InvalidTokenError:
        pass
    else:
        return claims
    raise ValueError(words)
