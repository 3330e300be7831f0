"""Where the server listens, and whom it serves."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from kiosk.settings.group import Group

DEEPCELL_MODELS = "segmentation=nuclei cytoplasm=cells mesmer=nuclei caliban=nuclei"


class ServerSettings(Group):
    """The server that answers gRPC and the web page."""

    host: str = Field("127.0.0.1", description="Address to listen on; loopback by default.")
    grpc_port: int = Field(50051, ge=0, le=65535, description="Port of the gRPC API.")
    web_port: int = Field(8080, ge=0, le=65535, description="Port of the web page and HTTP API.")
    public_url: str = Field(
        "",
        pattern=r"^(|https?://[^/]+)$",
        description="Where people reach the page, e.g. https://kiosk.lab.example, if a proxy stands"
        " in front: for links, cookies, and to tell our own page from others.",
    )
    tls_cert_file: Path | None = Field(
        None,
        description="Certificate chain (PEM) for both ports, with `tls_key_file`. New files are"
        " taken without a restart. Default: no TLS.",
    )
    tls_key_file: Path | None = Field(
        None, description="Private key (PEM, no password) of the certificate."
    )
    audit_file: Path | None = Field(
        None,
        description="A line of JSON for each call that changes something: who, what, when, from"
        " where. Default: in the server's log.",
    )
    retention_s: float = Field(
        7 * 24 * 3600.0, gt=0, description="Uploads and jobs are deleted after this long (7 days)."
    )
    deepcell_models: str = Field(
        DEEPCELL_MODELS,
        pattern=r"^( *[\w-]+=[\w.-]+)*$",
        description="Programs written for the DeepCell Kiosk may use this one: their types of jobs"
        " and the models that do them. The model of `mesmer` finds whole cells, and that of"
        " `segmentation` the nuclei in them; where both are the same, as here, which has no network"
        " for cells of tissue, nuclei are grown. Empty: they may not.",
    )
    preview_s: float = Field(
        3600.0, gt=0, description="Previews of a region are deleted after this long (an hour)."
    )
    idle_s: float = Field(
        75.0,
        gt=0,
        description="HTTP connections that stand still for so long are closed: between requests, in"
        " the middle of one, or not taking the answer. More than the 60 s of most proxies, which"
        " must not find a connection closed that they use again.",
    )
    longest_retention_s: float = Field(
        365 * 24 * 3600.0,
        gt=0,
        description="A job may be kept so long at most, counted from when that is asked (a year).",
    )
    longest_share_s: float = Field(
        30 * 24 * 3600.0,
        gt=0,
        description="A share link ends after so long at the latest (30 days): links get around.",
    )
    sweep_s: float = Field(60.0, gt=0, description="How often expired jobs are looked for.")

    @model_validator(mode="after")
    def _certificates_have_keys(self) -> ServerSettings:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file go together")
        return self


class AuthSettings(Group):
    """Who may use the kiosk."""

    required: bool = Field(
        False,
        description="Ask every caller who they are: an API key (`kiosk keys create`) or a token of"
        " the identity provider. Off by default, because only this machine reaches loopback.",
    )
    insecure: bool = Field(
        False,
        description="Listen on other addresses than loopback and still ask nobody. As `--insecure`:"
        " only where everybody who reaches the address may do everything.",
    )
    memory_s: float = Field(
        2.0,
        ge=0,
        description="A credential is looked up again after this long; so long a key that was"
        " revoked may still be used.",
    )
    session_s: float = Field(
        12 * 3600.0, gt=0, description="So long one stays signed in on the page: a working day."
    )
    oidc_issuer: str = Field(
        "",
        pattern=r"^(|https://.+|http://(127\.0\.0\.1|localhost|\[::1\])[:/].*)$",
        description="Identity provider (OpenID Connect) whose tokens count, by its https address."
        " Empty: none.",
    )
    oidc_audience: str = Field(
        "", description="For whom its tokens must be made (`aud`): the client id of this kiosk."
    )
    oidc_jwks_url: str = Field(
        "", description="Where its keys are. Empty: where its discovery document says."
    )
    oidc_owner_claim: str = Field(
        "sub",
        min_length=1,
        description="Claim that names the owner. `sub` never changes; `email` can be read, but only"
        " take it where people cannot change it themselves.",
    )
    oidc_admin_claim: str = Field(
        "", description="Claim, e.g. `groups`, that tells administrators. Empty: there are none."
    )
    oidc_admin_value: str = Field(
        "", description="Who has this value in that claim, alone or in a list, is administrator."
    )

    @model_validator(mode="after")
    def _issuer_has_an_audience(self) -> AuthSettings:
        if self.oidc_issuer and not self.oidc_audience:
            # Otherwise a token that was made for any other program would open the kiosk.
            raise ValueError("oidc_issuer needs oidc_audience")
        if self.oidc_admin_claim and not self.oidc_admin_value:
            raise ValueError("oidc_admin_claim needs oidc_admin_value")
        return self
