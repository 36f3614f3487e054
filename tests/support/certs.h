/* SPDX-License-Identifier: MIT */
/* Throw-away certificates for tests: made at run time in a directory of their own, valid for nothing else. */
#ifndef TESTS_SUPPORT_CERTS_H
#define TESTS_SUPPORT_CERTS_H

struct certs {
    char dir[64];
    /* PEM files. The leaves are for the names localhost and *.wild.test and the addresses 127.0.0.1 and ::1.
     */
    char ca[96], other_ca[96];
    char good[96], good_key[96];       /* signed by ca */
    char expired[96], expired_key[96]; /* signed by ca, its time is over */
    char early[96], early_key[96];     /* signed by ca, its time has not come */
    char alone[96], alone_key[96];     /* signed by itself */
};

/* Aborts the program when something cannot be made. */
void certs_make(struct certs *c);
void certs_remove(struct certs *c);

#endif
