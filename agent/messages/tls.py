"""The TLS settings of a connection to the broker, from the files of the site."""

from __future__ import annotations

import ssl

from agent.messages.mqtt_options import MqttOptions
from inarvl.tls_files import client_context


def tls_context(options: MqttOptions) -> ssl.SSLContext:
    """Returns a context that verifies the broker's certificate and host name.

    Raises:
        BadTlsFile: a file is missing, not readable, locked by a password, or has other content.
    """
    return client_context(options.ca_file, options.cert_file, options.key_file)
