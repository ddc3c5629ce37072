"""An HL7 receiver on python-hl7.

usage: mllp_receive.py PORT [KEY CERTIFICATE CA]

Acknowledges each message that python-hl7 can parse with the acknowledgment that it makes, and
closes the connection on one that it cannot. Prints a line for each: the message and its
acknowledgment, both in base64. With a key it listens in TLS and wants a client certificate that
the CA issued.
"""

import asyncio
import base64
import ssl
import sys

import hl7
from hl7.mllp import start_hl7_server

CAP = 64 << 20  # bytes of a message


async def serve(reader, writer):
    try:
        while True:
            message = await reader.readblock()
            # One byte, one character: nothing is altered, whatever MSH-18 says.
            ack = str(hl7.parse(message.decode("latin-1")).create_ack()).encode("latin-1")
            print(base64.b64encode(message).decode(), base64.b64encode(ack).decode(), flush=True)
            writer.writeblock(ack)
            await writer.drain()
    except asyncio.IncompleteReadError:
        pass  # the sender is done
    except Exception as e:  # it cannot be parsed
        print(f"mllp_receive: {type(e).__name__}", file=sys.stderr, flush=True)
    finally:
        writer.close()


def tls(key, certificate, ca):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def main():
    port, *files = sys.argv[1:]
    context = tls(*files) if files else None
    server = await start_hl7_server(serve, host="127.0.0.1", port=int(port), limit=CAP, ssl=context)
    async with server:
        await server.serve_forever()


asyncio.run(main())
