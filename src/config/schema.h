/* SPDX-License-Identifier: MIT */
/* The form of a configuration file, for editors and other programs. */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

/* A JSON Schema (2020-12) of the file. It knows keys, kinds and required parts; what depends on other parts
 * of the file, or on files outside it, only the reader knows. Heap text. */
char *config_schema(void);

#endif
