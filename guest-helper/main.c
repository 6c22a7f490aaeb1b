/* SPDX-License-Identifier: Apache-2.0 */
/* holdstill-guest: the helper inside a guest. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "common/err.h"
#include "common/log.h"
#include "guest-helper/check.h"
#include "guest-helper/conf.h"
#include "guest-helper/guest.h"
#include "guest-helper/quietlog.h"

/* EXIT_USAGE: no new start will help. */
enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

struct choice {
	bool foreground;
	bool check;
	bool done; /* Help or version was printed. */
	const char *config;
};

/* Too large for a stack. */
static struct conf conf;

static void
print_help(void)
{
	puts(
	    "usage: holdstill-guest [--config FILE] [--port PORT] [--foreground]\n"
	    "       holdstill-guest [--config FILE] --check\n"
	    "\n"
	    "Freezes and thaws this guest's file systems for holdstill.\n"
	    "\n"
	    "  --config FILE  what may be frozen, and how\n"
	    "                 (default " CONF_PATH ")\n"
	    "  --port PORT    device path, unix:PATH or fd:NUMBER\n"
	    "                 (default " GUEST_PORT ")\n"
	    "  --run-dir DIR  where a freeze is recorded\n"
	    "                 (default " GUEST_RUN_DIR ")\n"
	    "  --foreground   stay attached; log to standard error\n"
	    "  --check        print what would be frozen and asked, what is\n"
	    "                 passed over, and what is wrong; exit status 1 if\n"
	    "                 something is wrong\n"
	    "  --version      print the version, and end\n"
	    "  --help         print this, and end");
}

/* Returns -1 for a wrong option, which getopt has complained about. */
static int
read_options(
    struct guest_options *options, struct choice *choice, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'C' },
		{ "port", required_argument, NULL, 'p' },
		{ "run-dir", required_argument, NULL, 'r' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "check", no_argument, NULL, 'c' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (c) {
		case 'C':
			choice->config = optarg;
			break;
		case 'p':
			options->port = optarg;
			break;
		case 'r':
			options->run_dir = optarg;
			break;
		case 'f':
			choice->foreground = true;
			break;
		case 'c':
			choice->check = true;
			break;
		case 'V':
			puts("holdstill-guest " HOLDSTILL_VERSION);
			choice->done = true;
			break;
		case 'h':
			print_help();
			choice->done = true;
			break;
		default:
			return -1;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "holdstill-guest: unexpected argument '%s'\n",
		    argv[optind]);
		return -1;
	}
	return 0;
}

/* Before it leaves the terminal, so that a person sees what is wrong. */
static int
read_conf(const struct choice *choice, struct err *err)
{
	conf_init(&conf);
	return choice->config != NULL
		   ? conf_read(&conf, choice->config, true, err)
		   : conf_read(&conf, CONF_PATH, false, err);
}

static void
complain(const struct err *err)
{
	log_line(LOG_ERROR, "%s%s%s%s", err->text,
	    err->hint[0] != '\0' ? " (" : "", err->hint,
	    err->hint[0] != '\0' ? ")" : "");
}

int
main(int argc, char **argv)
{
	struct guest_options options = {
		.port = GUEST_PORT,
		.run_dir = GUEST_RUN_DIR,
		.paths = { "/proc/self/mountinfo", "/sys", "/proc", "/dev" },
		.conf = &conf,
	};
	struct choice choice = { .foreground = false };
	struct err err = ERR_INIT;
	int rc;

	quietlog_init();
	if (read_options(&options, &choice, argc, argv) == -1)
		return EXIT_USAGE;
	if (choice.done)
		return EXIT_OK;
	/* First of all: whatever else is wrong, nothing is left frozen. */
	if (!choice.check && guest_take_over(&options, &err) == -1) {
		complain(&err);
		return EXIT_FAILED;
	}
	if (read_conf(&choice, &err) == -1) {
		complain(&err);
		return EXIT_USAGE;
	}
	if (!choice.check && !choice.foreground && daemon(0, 0) == -1) {
		log_line(LOG_ERROR, "cannot leave the terminal");
		return EXIT_FAILED;
	}
	rc = choice.check ? check_run(&options, &err)
			  : guest_run(&options, &err);
	if (rc == -1)
		complain(&err);
	return rc != 0 ? EXIT_FAILED : EXIT_OK;
}
