# SPDX-License-Identifier: MIT
# make install and make uninstall, with the usual variables of GNU's coding standards. A configuration is never
# installed, overwritten or removed: it is the operator's.

prefix ?= /usr/local
exec_prefix ?= $(prefix)
bindir ?= $(exec_prefix)/bin
sysconfdir ?= /etc
datarootdir ?= $(prefix)/share
mandir ?= $(datarootdir)/man
docdir ?= $(datarootdir)/doc/tidegate
unitdir ?= $(prefix)/lib/systemd/system
bashcompdir ?= $(datarootdir)/bash-completion/completions
zshcompdir ?= $(datarootdir)/zsh/site-functions
fishcompdir ?= $(datarootdir)/fish/vendor_completions.d
INSTALL ?= install

MAN := $(wildcard docs/man/*.[158])
MAN_INSTALLED := $(foreach m,$(MAN),$(mandir)/man$(subst .,,$(suffix $(m)))/$(notdir $(m)))
UNITS := $(wildcard deploy/systemd/*.service deploy/systemd/*.socket)

# file, mode, where to: a file and the folders above it. Units name the folders that were chosen.
put = $(Q)$(INSTALL) -D -m $(2) '$(1)' '$(DESTDIR)$(3)'
define put_unit
$(Q)$(INSTALL) -D -m 644 /dev/null '$(DESTDIR)$(unitdir)/$(notdir $(1))'
$(Q)sed 's|@bindir@|$(bindir)|g; s|@sysconfdir@|$(sysconfdir)|g' $(1) > '$(DESTDIR)$(unitdir)/$(notdir $(1))'

endef

.PHONY: install uninstall
install: all
	$(call put,$(B)/tidegate,755,$(bindir)/tidegate)
	$(Q)$(foreach m,$(MAN_INSTALLED),$(INSTALL) -D -m 644 docs/man/$(notdir $(m)) '$(DESTDIR)$(m)' &&) :
	$(call put,deploy/completions/tidegate.bash,644,$(bashcompdir)/tidegate)
	$(call put,deploy/completions/_tidegate,644,$(zshcompdir)/_tidegate)
	$(call put,deploy/completions/tidegate.fish,644,$(fishcompdir)/tidegate.fish)
	$(foreach u,$(UNITS),$(call put_unit,$(u)))
	$(call put,tidegate.example.yaml,644,$(docdir)/tidegate.example.yaml)
	$(call put,LICENSE,644,$(docdir)/copyright)
	$(Q)$(INSTALL) -d -m 755 '$(DESTDIR)$(sysconfdir)/tidegate'

# Folders that others use too stay; its own go when nothing is left in them.
uninstall:
	$(Q)cd / && rm -f $(foreach f,$(bindir)/tidegate $(MAN_INSTALLED) $(bashcompdir)/tidegate \
	$(zshcompdir)/_tidegate $(fishcompdir)/tidegate.fish $(UNITS:deploy/systemd/%=$(unitdir)/%) \
	$(docdir)/tidegate.example.yaml $(docdir)/copyright,'$(DESTDIR)$(f)')
	$(Q)for d in '$(docdir)' '$(sysconfdir)/tidegate'; do \
	[ ! -d "$(DESTDIR)$$d" ] || rmdir --ignore-fail-on-non-empty "$(DESTDIR)$$d"; done
