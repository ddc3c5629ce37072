"""A storage and verification SCP on pynetdicom.

usage: dicom_scp.py PORT AE_TITLE DIRECTORY [KEY CERTIFICATE CA]

Takes any storage SOP class in any transfer syntax known to pydicom, and writes each data set,
byte for byte as it came, to a file of its own in DIRECTORY. With a key it listens in TLS and
wants a client certificate that the CA issued.
"""

import ssl
import sys
from itertools import count
from pathlib import Path

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, _config, evt
from pynetdicom.sop_class import Verification

_config.UNRESTRICTED_STORAGE_SERVICE = True  # also SOP classes that it does not know


def tls(key, certificate, ca):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def main():
    port, title, directory, *files = sys.argv[1:]
    numbers = count()

    def store(event):
        name = f"{next(numbers):06d}_{event.context.transfer_syntax}"
        part = Path(directory, name + ".part")
        part.write_bytes(event.request.DataSet.getvalue())
        part.rename(Path(directory, name + ".ds"))
        return 0x0000

    ae = AE(ae_title=title)
    ae.require_called_aet = True
    ae.maximum_pdu_size = 0  # no limit
    for context in AllStoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    ae.add_supported_context(Verification)
    ae.start_server(
        ("127.0.0.1", int(port)),
        evt_handlers=[(evt.EVT_C_STORE, store)],
        ssl_context=tls(*files) if files else None,
    )


main()
