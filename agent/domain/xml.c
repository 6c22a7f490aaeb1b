/* SPDX-License-Identifier: Apache-2.0 */
/* libxml2, kept to the little that domain XML needs and hostile XML allows. */
#include "agent/domain/domain_internal.h"

#include <stdlib.h>
#include <string.h>
#include <libxml/parser.h>

#include "common/err.h"

int
domain_xml_parse(
    xmlDoc **out, const char *xml, const char *root, struct err *err)
{
	size_t size = strlen(xml);
	xmlNode *top;
	xmlDoc *doc;

	if (size > DOMAIN_XML_MAX_BYTES)
		return err_set(err, ERR_ARG,
		    "the %s XML is larger than %zu "
		    "bytes",
		    root, DOMAIN_XML_MAX_BYTES);
	doc = xmlReadMemory(xml, (int)size, NULL, NULL,
	    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
		XML_PARSE_NOBLANKS);
	if (doc == NULL)
		return err_set(
		    err, ERR_ARG, "the %s XML is not well-formed", root);
	/* No entities of any kind: libvirt writes none. */
	if (doc->intSubset != NULL || doc->extSubset != NULL) {
		xmlFreeDoc(doc);
		return err_set(
		    err, ERR_ARG, "the %s XML declares a document type", root);
	}
	top = xmlDocGetRootElement(doc);
	if (top == NULL || strcmp((const char *)top->name, root) != 0) {
		xmlFreeDoc(doc);
		return err_set(err, ERR_ARG, "the XML is no <%s>", root);
	}
	*out = doc;
	return 0;
}

int
domain_xml_read(
    xmlDoc **out, struct domain *d, unsigned int flags, struct err *err)
{
	char *xml = virDomainGetXMLDesc(d->dom, flags);
	int rc;

	if (xml == NULL)
		return domain_err(err, "cannot read the XML of '%s'", d->name);
	rc = domain_xml_parse(out, xml, "domain", err);
	free(xml);
	return rc;
}

static xmlNode *
match(xmlNode *node, const char *name)
{
	for (; node != NULL; node = node->next)
		if (node->type == XML_ELEMENT_NODE &&
		    (name == NULL ||
			strcmp((const char *)node->name, name) == 0))
			return node;
	return NULL;
}

xmlNode *
domain_xml_child(const xmlNode *parent, const char *name)
{
	return parent == NULL ? NULL : match(parent->children, name);
}

xmlNode *
domain_xml_next(const xmlNode *node, const char *name)
{
	return match(node->next, name);
}

/* libxml2's strings come from its own allocator. */
static char *
take(xmlChar *text)
{
	char *copy = strdup(text == NULL ? "" : (const char *)text);

	xmlFree(text);
	return copy;
}

char *
domain_xml_attr(const xmlNode *node, const char *name)
{
	if (node == NULL)
		return strdup("");
	return take(xmlGetNoNsProp(node, BAD_CAST name));
}

bool
domain_xml_attr_is(const xmlNode *node, const char *name, const char *value)
{
	char *found = domain_xml_attr(node, name);
	bool same = found != NULL && strcmp(found, value) == 0;

	free(found);
	return same;
}

char *
domain_xml_text(const xmlNode *node)
{
	return node == NULL ? strdup("") : take(xmlNodeGetContent(node));
}

int
domain_xml_dump(char **out, xmlDoc *doc, struct err *err)
{
	xmlChar *text = NULL;
	int size = 0;

	xmlDocDumpFormatMemory(doc, &text, &size, 1);
	if (text == NULL)
		return err_no_memory(err);
	*out = strdup((const char *)text);
	xmlFree(text);
	return *out == NULL ? err_no_memory(err) : 0;
}
