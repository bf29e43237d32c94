"""Making the controllers that need files: without the file there is no controller."""

from __future__ import annotations

from controllers.options import Options
from controllers.runtime.controller import Runtime
from controllers.service_account.legacy_token import Signer
from controllers.service_account.root_ca import RootCaPublisher
from controllers.service_account.tokens import TokenController


def root_ca_publisher(runtime: Runtime, options: Options) -> RootCaPublisher | None:
    if options.root_ca_file is None:
        return None
    return RootCaPublisher(runtime, options.root_ca_file.read_text())


def token_controller(runtime: Runtime, options: Options) -> TokenController | None:
    if options.service_account_private_key_file is None:
        return None
    signer = Signer(options.service_account_private_key_file.read_bytes())
    return TokenController(runtime, signer, options.root_ca_file.read_bytes() if options.root_ca_file else b"")
