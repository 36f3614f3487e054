# SPDX-License-Identifier: MIT
"""Certificate authorities and servers' certificates, made on the spot with openssl's command line."""
import ssl
import types

from .process import run

KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']


class Authority:
    """A private certificate authority in a folder; `file` is what endpoints trust as ca_file."""
    def __init__(self, folder, name='ca'):
        self.folder, self.name = folder, name
        self.file, self.key = folder / f'{name}.pem', folder / f'{name}.key'
        self.made_n = 0
        self.openssl('req', '-x509', *KEY, '-keyout', self.key, '-out', self.file, '-days', '2',
                     '-subj', f'/CN={name}', '-addext', 'basicConstraints=critical,CA:TRUE')

    def openssl(self, *arguments):
        status, _, complaint = run('openssl', *arguments, cwd=self.folder)
        assert status == 0, complaint

    def identity(self, name, extensions='basicConstraints=CA:FALSE', days=2):
        """A key and the certificate for it: files `key` and `cert`."""
        self.made_n += 1
        at = self.folder / f'{self.name}-{self.made_n}'
        request, key, cert, more = (at.with_suffix(s) for s in ('.csr', '.key', '.pem', '.ext'))
        more.write_text(extensions + '\n')
        self.openssl('req', '-new', *KEY, '-keyout', key, '-out', request, '-subj', f'/CN={name}')
        self.openssl('x509', '-req', '-in', request, '-CA', self.file, '-CAkey', self.key, '-CAcreateserial',
                     '-days', str(days), '-extfile', more, '-out', cert)
        return types.SimpleNamespace(key=key, cert=cert)

    def pair(self, names='IP:127.0.0.1,DNS:localhost', days=2):
        """The files of a certificate for these names and of its key; with days=-1 one that is over."""
        mine = self.identity('server', f'subjectAltName={names}\nbasicConstraints=CA:FALSE', days)
        return mine.cert, mine.key

    def server(self, names='IP:127.0.0.1,DNS:localhost', days=2):
        """A server's TLS side with such a pair."""
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*self.pair(names, days))
        return tls

    def client(self, version=None):
        """A client's TLS side that trusts this authority."""
        tls = ssl.create_default_context(cafile=self.file)
        if version is not None:
            tls.minimum_version = tls.maximum_version = version
        return tls
