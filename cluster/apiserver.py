"""`wherry apiserver`: one API server with its certificates and its kubeconfig, alone or under a supervisor."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.errors import CommandError, explain, explain_listen
from cluster.home import Home
from cluster.options import ClusterOptions, default_data_dir
from cluster.readiness import Ready

if TYPE_CHECKING:
    from cluster.pki import Pki

ETCD_PACKAGES = ("aetcd", "grpc")
GC_THRESHOLD = 20_000
"""New containers between two collections: a request makes thousands that counting references frees again, and
looking for cycles every 700 of them (the default) costs a fifth of a CREATE, measured by `python -m bench`."""


def run_apiserver(options: ClusterOptions, home: Home, ready: Ready) -> None:
    """Serve until told to stop. Raises CommandError when that is not possible."""
    from apiserver.aggregation.location import FrontProxy
    from apiserver.main import EtcdOptions, ServeOptions, run
    from apiserver.storage.backend import StorageError

    etcd = EtcdOptions(options.etcd_servers, options.etcd_cafile, options.etcd_certfile, options.etcd_keyfile)
    try:
        # Under a supervisor another process has been making them meanwhile; this waits for it.
        pki = make_certificates(options, home)
        serve = ServeOptions(
            address=options.bind_address,
            port=options.port,
            service_cidrs=(options.service_range,),
            cert_file=pki.server.cert,
            key_file=pki.server.key,
            client_ca=pki.ca.cert,
            service_account_key=pki.service_account_key,
            database=home.database,
            etcd=etcd if options.etcd_servers else None,
            token_file=options.token_auth_file,
            node_client_cert=pki.clients["apiserver-kubelet-client"].cert,
            node_client_key=pki.clients["apiserver-kubelet-client"].key,
            audit_policy=options.audit_policy_file,
            audit_log=options.audit_log_path,
            front_proxy=FrontProxy(pki.front_proxy.cert, pki.front_proxy.key, pki.front_proxy_ca.cert),
        )
        run(serve, lambda port: _announce(options, home, pki, port, ready))
    except ModuleNotFoundError as error:
        if error.name not in ETCD_PACKAGES:
            raise
        raise CommandError("the etcd store needs more packages: pip install 'wherry[etcd]'") from None
    except StorageError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        if error.filename is None:
            raise CommandError(explain_listen(error, options.bind_address, options.port)) from None
        raise CommandError(explain(error)) from None
    except ValueError as error:
        raise CommandError(str(error)) from None


def make_certificates(options: ClusterOptions, home: Home) -> Pki:
    """All certificates and keys of the cluster, made where they are missing."""
    from cluster.pki import ensure_pki

    addresses = [options.bind_address, options.reachable_address]
    return ensure_pki(home.pki, addresses=addresses, service_ip=options.service_ip)


def _announce(options: ClusterOptions, home: Home, pki: Pki, port: int, ready: Ready) -> None:
    from cluster import kubeconfig

    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 100)
    server = options.server(port)
    path = kubeconfig_path(options, home, port)
    kubeconfig.write(path, kubeconfig.build(server, pki.ca.cert_pem, pki.clients["admin"]))
    ready.tell(server=server, port=port, kubeconfig=str(path))
    if not ready.is_supervised:
        print(f"The API server is ready: {server}\n\n  export KUBECONFIG={path}", flush=True)


def kubeconfig_path(options: ClusterOptions, home: Home, port: int) -> Path:
    """Where the admin's kubeconfig goes. An ephemeral cluster's is named by its port, as there may be many."""
    if options.kubeconfig is not None:
        return options.kubeconfig
    if home.ephemeral:
        return default_data_dir() / f"ephemeral-{port}.kubeconfig"
    return home.admin_kubeconfig
