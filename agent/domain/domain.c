/* SPDX-License-Identifier: Apache-2.0 */
/* One domain: finding it, its state, its definition. */
#include "agent/domain/domain_internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/err.h"

static virDomainPtr
lookup(struct domain_connection *c, const char *name)
{
	virDomainPtr dom = virDomainLookupByName(c->conn, name);

	if (dom == NULL && domain_err_code() == VIR_ERR_NO_DOMAIN &&
	    strlen(name) == DOMAIN_UUID_SIZE - 1) {
		dom = virDomainLookupByUUIDString(c->conn, name);
		/* A name of that length that is no UUID. */
		if (dom == NULL && domain_err_code() == VIR_ERR_INVALID_ARG)
			dom = virDomainLookupByName(c->conn, name);
	}
	return dom;
}

int
domain_open(struct domain **out, struct domain_connection *c, const char *name,
    struct err *err)
{
	struct domain *d = calloc(1, sizeof(*d));
	int rc = -1;

	if (d == NULL)
		return err_no_memory(err);
	d->connection = c;
	if ((d->dom = lookup(c, name)) == NULL) {
		if (domain_err_code() != VIR_ERR_NO_DOMAIN) {
			domain_err(err, "cannot look up domain '%s'", name);
			goto out;
		}
		err_set(err, ERR_NOT_FOUND, "no domain is called '%s'", name);
		err_hint(err, "'virsh list --all' shows the names");
		goto out;
	}
	if (virDomainGetUUIDString(d->dom, d->uuid) < 0) {
		domain_err(err, "cannot read the UUID of '%s'", name);
		goto out;
	}
	if ((d->name = strdup(virDomainGetName(d->dom))) == NULL) {
		err_no_memory(err);
		goto out;
	}
	*out = d;
	d = NULL;
	rc = 0;
out:
	domain_close(d);
	return rc;
}

void
domain_close(struct domain *d)
{
	if (d == NULL)
		return;
	if (d->dom != NULL)
		virDomainFree(d->dom);
	free(d->name);
	free(d);
}

const char *
domain_name(const struct domain *d)
{
	return d->name;
}

const char *
domain_uuid(const struct domain *d)
{
	return d->uuid;
}

int
domain_state(struct domain *d, enum domain_state *out, struct err *err)
{
	int state, reason;

	if (virDomainGetState(d->dom, &state, &reason, 0) < 0)
		return domain_err(
		    err, "cannot read the state of '%s'", d->name);
	switch (state) {
	case VIR_DOMAIN_RUNNING:
	case VIR_DOMAIN_BLOCKED:
		*out = DOMAIN_RUNNING;
		break;
	case VIR_DOMAIN_PAUSED:
		*out = reason == VIR_DOMAIN_PAUSED_IOERROR ? DOMAIN_PAUSED_IO
							   : DOMAIN_PAUSED;
		break;
	case VIR_DOMAIN_SHUTOFF:
		*out = DOMAIN_OFF;
		break;
	default:
		*out = DOMAIN_STATE_OTHER;
		break;
	}
	return 0;
}

int
domain_resume(struct domain *d, struct err *err)
{
	if (virDomainResume(d->dom) < 0)
		return domain_err(err, "cannot continue '%s'", d->name);
	return 0;
}

int
domain_definition(char **out, struct domain *d, struct err *err)
{
	unsigned int flags = VIR_DOMAIN_XML_INACTIVE;

	/* As it runs: a disk attached for this run only is in the picture.
	 * Migratable leaves out what belongs to the running process. */
	if (virDomainIsActive(d->dom) == 1)
		flags = VIR_DOMAIN_XML_MIGRATABLE;
	*out = virDomainGetXMLDesc(d->dom, flags);
	if (*out == NULL)
		return domain_err(
		    err, "cannot read the definition of '%s'", d->name);
	return 0;
}

static bool
is_taken(struct domain_connection *c, const char *name, const char *uuid)
{
	virDomainPtr dom = NULL;

	if (uuid[0] != '\0')
		dom = virDomainLookupByUUIDString(c->conn, uuid);
	if (dom == NULL)
		dom = virDomainLookupByName(c->conn, name);
	if (dom == NULL)
		return false;
	virDomainFree(dom);
	return true;
}

/* libvirt would replace a domain of the same name and UUID without a word. */
static int
check_free(struct domain_connection *c, const char *xml, struct err *err)
{
	char *name = NULL, *uuid = NULL;
	xmlDoc *doc = NULL;
	xmlNode *root;
	int rc = -1;

	if (domain_xml_parse(&doc, xml, "domain", err) == -1)
		return -1;
	root = xmlDocGetRootElement(doc);
	name = domain_xml_text(domain_xml_child(root, "name"));
	uuid = domain_xml_text(domain_xml_child(root, "uuid"));
	if (name == NULL || uuid == NULL) {
		err_no_memory(err);
		goto out;
	}
	if (is_taken(c, name, uuid)) {
		err_set(err, ERR_EXISTS,
		    "a domain with the name '%s' or its UUID exists", name);
		err_hint(err,
		    "choose another name with --define NAME, or undefine that domain");
		goto out;
	}
	rc = 0;
out:
	free(name);
	free(uuid);
	xmlFreeDoc(doc);
	return rc;
}

int
domain_define(struct domain_connection *c, const char *xml, struct err *err)
{
	virDomainPtr dom;

	if (check_free(c, xml, err) == -1)
		return -1;
	dom = virDomainDefineXMLFlags(c->conn, xml, VIR_DOMAIN_DEFINE_VALIDATE);
	if (dom == NULL)
		return domain_err(err, "cannot define the domain");
	virDomainFree(dom);
	return 0;
}

int
domain_start(struct domain_connection *c, const char *name, struct err *err)
{
	virDomainPtr dom = virDomainLookupByName(c->conn, name);
	int rc = 0;

	if (dom == NULL)
		return domain_err(err, "cannot find domain '%s'", name);
	if (virDomainCreate(dom) < 0)
		rc = domain_err(err, "cannot start domain '%s'", name);
	virDomainFree(dom);
	return rc;
}
