/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to libvirtd, its errors, and the thread of its events. */
#include "agent/domain/domain_internal.h"

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/err.h"

#define DEFAULT_URI "qemu:///system"

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static int library_status;

static void
swallow_error(void *arg, virErrorPtr error)
{
	(void)arg;
	(void)error;
}

/* Streams are moved by callbacks of this loop; it lasts as long as the
 * process, as libvirt offers no way to take a registered loop away. */
static void *
run_events(void *arg)
{
	(void)arg;
	while (virEventRunDefaultImpl() == 0)
		;
	return NULL;
}

static void
start_library(void)
{
	pthread_t thread;
	sigset_t all, before;

	library_status = -1;
	if (virInitialize() < 0)
		return;
	virSetErrorFunc(NULL, swallow_error);
	if (virEventRegisterDefaultImpl() < 0)
		return;
	/* Signals belong to the threads that know what to do with them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&thread, NULL, run_events, NULL) == 0) {
		pthread_detach(thread);
		library_status = 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static enum err_class
class_of(int code)
{
	switch (code) {
	case VIR_ERR_NO_DOMAIN:
	case VIR_ERR_NO_DOMAIN_CHECKPOINT:
	case VIR_ERR_NO_DOMAIN_BACKUP:
		return ERR_NOT_FOUND;
	case VIR_ERR_DOM_EXIST:
		return ERR_EXISTS;
	case VIR_ERR_CHECKPOINT_INCONSISTENT:
		return ERR_CORRUPT;
	case VIR_ERR_OPERATION_TIMEOUT: /* Another job holds the domain. */
	case VIR_ERR_RESOURCE_BUSY:
		return ERR_BUSY;
	case VIR_ERR_AGENT_UNRESPONSIVE:
	case VIR_ERR_AGENT_UNSYNCED:
		return ERR_TIMEOUT;
	case VIR_ERR_AUTH_FAILED:
	case VIR_ERR_AUTH_CANCELLED:
	case VIR_ERR_AUTH_UNAVAILABLE:
	case VIR_ERR_OPERATION_DENIED:
	case VIR_ERR_ACCESS_DENIED:
		return ERR_AUTH;
	case VIR_ERR_NO_SUPPORT:
	case VIR_ERR_OPERATION_UNSUPPORTED:
	case VIR_ERR_CONFIG_UNSUPPORTED:
	case VIR_ERR_ARGUMENT_UNSUPPORTED:
		return ERR_UNSUPPORTED;
	case VIR_ERR_INVALID_ARG:
	case VIR_ERR_XML_ERROR:
	case VIR_ERR_XML_DETAIL:
	case VIR_ERR_XML_INVALID_SCHEMA:
		return ERR_ARG;
	case VIR_ERR_NO_MEMORY:
		return ERR_NO_MEMORY;
	default:
		return ERR_IO;
	}
}

int
domain_err_code(void)
{
	virErrorPtr error = virGetLastError();

	return error == NULL ? VIR_ERR_OK : error->code;
}

int
domain_err(struct err *err, const char *fmt, ...)
{
	virErrorPtr last = virGetLastError();
	const char *reason = "unknown error";
	char what[256], *newline;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (last != NULL && last->message != NULL)
		reason = last->message;
	err_set(err, last == NULL ? ERR_IO : class_of(last->code), "%s: %s",
	    what, reason);
	for (newline = err->text; (newline = strchr(newline, '\n')) != NULL;)
		*newline = ' ';
	if (last != NULL && last->domain == VIR_FROM_RPC)
		err_hint(err, "is libvirtd still running?");
	return -1;
}

int
domain_connect(struct domain_connection **out, const char *uri, struct err *err)
{
	struct domain_connection *c;

	if (uri == NULL)
		uri = DEFAULT_URI;
	pthread_once(&library_once, start_library);
	if (library_status == -1)
		return err_set(err, ERR_IO, "cannot start the libvirt library");
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return err_no_memory(err);
	if ((c->conn = virConnectOpen(uri)) == NULL) {
		domain_err(err, "cannot connect to libvirt at '%s'", uri);
		if (err->class != ERR_AUTH)
			err->class = ERR_IO;
		err_hint(err, "start libvirtd, or name its URI with --connect");
		free(c);
		return -1;
	}
	/* A host or daemon that went silent ends calls after half a minute. */
	virConnectSetKeepAlive(c->conn, 10, 3);
	*out = c;
	return 0;
}

void
domain_disconnect(struct domain_connection *c)
{
	if (c == NULL)
		return;
	virConnectClose(c->conn);
	free(c);
}

int
domain_each(
    struct domain_connection *c, domain_name_fn *fn, void *arg, struct err *err)
{
	virDomainPtr *list = NULL;
	int count, i, stop = 0;

	count = virConnectListAllDomains(c->conn, &list, 0);
	if (count < 0)
		return domain_err(err, "cannot list the domains");
	for (i = 0; i < count; i++) {
		if (!stop)
			stop = fn(arg, virDomainGetName(list[i]),
			    virDomainIsActive(list[i]) == 1);
		virDomainFree(list[i]);
	}
	free(list);
	return 0;
}
