/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model of docs/prune.md: two backups, two prunes and somebody who forgets
 * and un-forgets, on one repository.  run.sh checks it, and that each mutant
 * (-DWITHOUT_...) breaks.
 *
 * One atomic{} is one call of the object store, with the local work that
 * follows it.  Where a block holds two calls a comment says why nothing that
 * matters can come between them.  Whoever never moves again has crashed; the
 * verifier looks at all such runs.  After a prune that crashed comes another.
 *
 * Blobs are bits: 1 and 2.  Packs: 0 is there from the beginning; 1 as well, a
 * dead session's with or without an index, or, with REPACK, it is what a prune
 * writes; 2 and 3 are the backups' own.  Points: 0 is there from the beginning,
 * 1 and 2 are the backups'.
 */

#ifndef MAXE
#define MAXE 3 /* The last epoch that prunes may put. */
#endif
#ifndef NEED1
#define NEED1 3 /* The blobs of point 1. */
#endif
#ifndef NEED2
#define NEED2 2
#endif
#ifndef FORGETS
#define FORGETS 1 /* Point 0 is forgotten, un-forgotten, ...: how often. */
#endif

/* The points whose blobs backups keep without a look, with -DBASE. */
#ifndef BASE1
#define BASE1 0
#endif
#ifndef BASE2
#define BASE2 1
#endif

#define NPK 4
#define NPT 3
#define NEED(i) ((i) == 0 -> 1 : ((i) == 1 -> NEED1 : NEED2))
#define BIT(i) (1 << (i))
#define HAS(mask, i) (((mask) >> (i)) & 1)
#define MIN(a, b) ((a) < (b) -> (a) : (b))

/* points/ID */
#define NONE 0
#define MANIFEST 1
#define TOMBSTONE 2
/* forgotten/ID/K: how many there are, so odd is forgotten; or the last word. */
#define GONE 7
/* How the newest epoch has a pack; other values are who condemned it. */
#define OFF 0
#define DOOMED 15
#define NEVER 14

/* ---- The object store ---- */
byte newest;       /* epochs/0 to epochs/newest. */
byte sealed;       /* Epochs below this are sealed. */
byte list[NPK];    /* Of the newest epoch: the condemned and doomed packs, */
byte roll = 1;     /* the points of decided sessions, */
byte decided;      /* the first epoch that may have an undecided session. */
byte session[NPT]; /* sessions/N/K: N + 1 of each backup, or 0. */
byte point[NPT];
byte forgotten[NPT];
byte there;        /* Packs that exist; */
byte ever;         /* that were ever put: a listing may show any of these; */
byte indexed;      /* that an index names. */
byte content[NPK];
#ifdef CACHE
byte listed;       /* Packs on the list of any epoch. */
#endif
#ifdef BASE
byte last_list;    /* The newest epoch whose list is not empty, or 0. */
byte made[NPT];    /* points/ID says: N + 1 of its session. */
#endif

/* ---- What only the model knows ---- */
bool done[NPT]; /* The backup reported success. */
byte given_up;  /* Points that ever had a tombstone. */
#ifdef JANITOR
bool closed; /* All others have crashed. */
#define GO !closed
#else
#define GO true
#endif

#define BLOBS(m) ((content[0] * HAS(m, 0)) | (content[1] * HAS(m, 1)) | \
    (content[2] * HAS(m, 2)) | (content[3] * HAS(m, 3)))
#define WHERE(v) ((list[0] == (v)) | ((list[1] == (v)) << 1) | \
    ((list[2] == (v)) << 2) | ((list[3] == (v)) << 3))
#define OFFLIST WHERE(OFF)

/* P1: a point that exists has all it needs, forgotten or not. */
#define P1(i) (point[i] != MANIFEST || \
    (NEED(i) & ~BLOBS(there & indexed)) == 0)
/* P2: a point that was reported done is there until the last word. */
#define P2(i) (!done[i] || forgotten[i] == GONE || point[i] == MANIFEST)
/* P3: no point is both done and given up. */
#define P3(i) (!done[i] || !HAS(given_up, i) || forgotten[i] == GONE)
/* Fewer states: the content of what is gone, and an index of it, concern
 * nobody who looks. */
#if defined(SHOWS_REMOVED) || defined(SWEEP) || defined(JANITOR) || \
    defined(CACHE) || defined(WITHOUT_LOOKING)
#define TIDY(i) skip
#define INDEX(m) indexed = indexed | m
#else
#define TIDY(i) content[i] = 0; ever = there; indexed = indexed & there; \
	prunes[0].rm = prunes[0].rm & there; \
	prunes[1].rm = prunes[1].rm & there
#define INDEX(m) indexed = (indexed | m) & there
#endif

#define CHECK \
	if \
	:: !(P1(0) && P1(1) && P1(2)) -> assert(P1_holds) \
	:: !(P2(0) && P2(1) && P2(2)) -> assert(P2_holds) \
	:: !(P3(0) && P3(1) && P3(2)) -> assert(P3_holds) \
	:: else \
	fi
byte P1_holds, P2_holds, P3_holds, P4_holds; /* Never: for messages. */

/* ---- A backup ---- */
#ifdef NO_ANEW /* A smaller scope, to find a mutant's error soon. */
#define ANEW false
#else
#define ANEW true
#endif
#ifdef WITHOUT_LOOKING
#define FOUND(i) true
#else
#define FOUND(i) HAS(there, i)
#endif
#ifdef WITHOUT_LEAVING_CONDEMNED
#define USABLE(i) true
#else
#define USABLE(i) !HAS(bad, i)
#endif
#ifdef WITHOUT_LEAVING_ORPHANS
#define TAKEABLE(i) true
#else
#define TAKEABLE(i) !HAS(bad, i)
#endif
#ifdef WITHOUT_ALL_LISTS
#define NEVER_LISTED(i) !HAS(bad, i)
#else
#define NEVER_LISTED(i) !HAS(bad, i + 4)
#endif
/*
 * The index is read after registering, then the pack is found.  A pack is put
 * once: it was there at the first look, too, so one step does for both.
 */
#ifdef CACHE
/* Pack 0 was found in epoch 0: no look, if no list since has it. */
#define KNOWN(i, b) ((content[i] & b) && (i) == 0 && NEVER_LISTED(i))
#else
#define KNOWN(i, b) ((content[i] & b) && HAS(indexed, i) && FOUND(i) && \
    USABLE(i))
#endif
#define ANY_KNOWN(b) \
    (KNOWN(0, b) || KNOWN(1, b) || KNOWN(2, b) || KNOWN(3, b))
/* A listing may miss the index.  The pack's table is read: it is there. */
#define ORPHAN(i) ((content[i] & todo) && HAS(there, i) && TAKEABLE(i))

#ifdef BASE
#define BASE_OF(s) ((s) == 1 -> BASE1 : BASE2)
#ifdef WITHOUT_ON_THE_ROLL
#define ON_THE_ROLL(i) (point[i] == MANIFEST)
#else
#define ON_THE_ROLL(i) HAS(roll, i)
#endif
#ifdef WITHOUT_EMPTY_LISTS
#define EMPTY_LISTS(i) true
#else
#define EMPTY_LISTS(i) (last_since < made[i])
#endif
/* Its session was of our epoch or one before, and no list since has a pack. */
#define UNTOUCHED(i) (point[i] == MANIFEST && made[i] != 0 && \
    made[i] <= session[s] && EMPTY_LISTS(i))
#define MADE(s) made[s] = session[s]
#else
#define MADE(s) skip
#endif

#ifdef WITHOUT_EXCLUSIVE_POINTS
#define FREE(i) true
#else
#define FREE(i) (point[i] == NONE)
#endif

#if defined(WITHOUT_LOOKING) || defined(CACHE)
#define RELEVANT(s) (BIT(NPK) - 1)
#else
/* Fewer states: of the list, what has blobs of s and is there. */
#define RELEVANT(s) (there & \
    (((content[0] & NEED(s)) != 0) | (((content[1] & NEED(s)) != 0) << 1) | \
    (((content[2] & NEED(s)) != 0) << 2) | \
    (((content[3] & NEED(s)) != 0) << 3)))
#endif

proctype Backup(byte s)
{
	byte n;    /* The epoch, */
	byte bad;  /* the packs that are on its list; */
	byte todo; /* blobs that still need a place. */
	byte p;
#ifdef BASE
	bool rolled;     /* The base is on the roll of n. */
	byte last_since; /* Of n and those before, the last with a list. */
#endif

begin:
	atomic {
		GO;
		n = newest;
		bad = ~OFFLIST & RELEVANT(s);
#ifdef CACHE
		bad = bad | (listed << 4);
#endif
		todo = NEED(s)
#ifdef BASE
		;
		rolled = ON_THE_ROLL(BASE_OF(s));
		last_since = last_list
#endif
	}
#ifndef WITHOUT_REGISTERING_FIRST
	/* The first free K of sessions/N: a session or the seal. */
	atomic {
		GO;
		if
#ifndef WITHOUT_SEAL
		:: n < sealed -> n = 0; bad = 0; todo = 0; goto begin
		:: n >= sealed ->
#else
		:: true ->
#endif
			session[s] = n + 1; n = 0
		fi
	}
#endif
#ifdef BASE
	/* A get of the base; its map was read at some time before. */
	atomic {
		GO;
		todo = (rolled || UNTOUCHED(BASE_OF(s)) ->
		    todo & ~NEED(BASE_OF(s)) : todo);
		rolled = false; last_since = 0;
		if
		:: todo == 0 -> bad = 0; goto commit
		:: todo != 0
		fi
	}
#endif
find:
	/* What is known is looked for first: to store a block anew can be
	 * decided at any time. */
	if
	:: atomic { GO && (todo & 1) && ANY_KNOWN(1) -> todo = todo & ~1 }
	:: atomic { GO && (todo & 2) && ANY_KNOWN(2) -> todo = todo & ~2 }
	:: atomic { GO && ORPHAN(0) -> p = 0; goto take }
	:: atomic { GO && ORPHAN(1) -> p = 1; goto take }
	:: atomic { GO && ORPHAN(2) -> p = 2; goto take }
	:: atomic { GO && ORPHAN(3) -> p = 3; goto take }
	:: atomic {
		GO && todo != 0 && ANEW ->
		content[s + 1] = todo;
		there = there | BIT(s + 1);
		ever = ever | BIT(s + 1);
		bad = 0;
		n = 0;
		todo = 0;
		goto name
	    }
	fi;
	if
	:: todo == 0 -> goto commit
	:: todo != 0 -> goto find
	fi;
take:
	atomic {
		GO;
		INDEX(BIT(p));
		todo = todo & ~content[p];
		p = 0;
		if
		:: todo == 0 -> bad = 0; goto commit
		:: todo != 0 -> goto find
		fi
	}
name:
	atomic { GO -> INDEX(BIT(s + 1)) };
commit:
#ifdef WITHOUT_REGISTERING_FIRST
	atomic { GO -> session[s] = newest + 1 };
#endif
last:
	atomic {
		GO;
		bad = 0; n = 0;
		if
		:: FREE(s) ->
			point[s] = MANIFEST; done[s] = true; MADE(s);
			CHECK; goto end
#ifdef UNCLEAR
		:: point[s] == NONE -> point[s] = MANIFEST; MADE(s); CHECK
		:: true /* It had no effect, or there is something. */
#else
		:: !FREE(s) -> goto end /* Given up: failed. */
#endif
		fi
	}
#ifdef UNCLEAR
	/*
	 * A get of the point, then of forgotten/ID/0.  If at the second there
	 * is neither, then there was nothing to forget at the first.
	 */
	atomic {
		GO;
		if
		:: point[s] == MANIFEST -> done[s] = true; CHECK
		:: point[s] == TOMBSTONE
#ifdef WITHOUT_ASKING_FORGOTTEN
		:: point[s] == NONE -> goto last
#else
		:: point[s] == NONE && forgotten[s] == 0 -> goto last
		:: point[s] == NONE && forgotten[s] != 0
#endif
		fi
	}
#endif
end:
	skip
}

/* ---- Forget and un-forget: a put of the next forgotten/ID/K ---- */
proctype Forget()
{
end:
	do
	:: atomic {
		GO && point[0] == MANIFEST && forgotten[0] < FORGETS ->
		forgotten[0]++;
		CHECK
	    }
#ifndef KEEP1
	:: atomic {
		GO && point[1] == MANIFEST && forgotten[1] == 0 ->
		forgotten[1] = 1
	    }
#endif
	od
}

/* ---- A prune ---- */
typedef prune {
	byte n;     /* The newest epoch, as far as is known; */
	byte rm;    /* the packs that it dooms. */
	byte todo;  /* Points that are still to be walked; */
	byte found; /* those that exist, */
	byte live;  /* the blobs they refer to, */
	byte minu   /* and the first epoch with an undecided session. */
};
prune prunes[2];
#define my prunes[me]
#define other prunes[1 - me]
#define NOWHERE 20
#define BEHIND 21

#ifdef WITHOUT_ENOUGH
#define SURE (there & indexed) /* Though on the list. */
#else
#ifdef WITHOUT_VERIFYING
#define SURE (OFFLIST & ever & indexed)
#else
#ifdef WITHOUT_INDEX_FIRST
#define SURE (OFFLIST & there)
#else
#define SURE (OFFLIST & there & indexed)
#endif
#endif
#endif
#ifdef WITHOUT_WAITING
#define WAITED_FOR(m) true
#else
#define WAITED_FOR(m) ((m) <= my.minu)
#endif
#ifdef WITHOUT_EXCLUSIVE_EPOCHS
#define STALE false
#else
#define STALE (newest != my.n)
#endif

#ifdef SHOWS_REMOVED
#define CAN_SHOW ever
#else
#define CAN_SHOW there
#endif

/*
 * Which packs to condemn.  Listing them is one step with the put of the epoch:
 * a listing may miss what was put since, and may show what was removed since;
 * what it shows rightly, and is off the list, nobody removes before the put.
 */
#define FITS(c) (((c) & ~(OFFLIST & CAN_SHOW)) == 0 && \
    (my.live & BLOBS(SURE) & ~BLOBS(SURE & ~(c))) == 0)
/* What becomes of a pack that is on the list. */
#define MOVES(i) (list[i] != OFF && (list[i] == DOOMED || \
    WAITED_FOR(list[i]) || (content[i] & my.live & ~BLOBS(SURE & ~cand))))
#define CHANGED (cand != 0 || MOVES(0) || MOVES(1) || MOVES(2) || MOVES(3))
inline choose()
{
	if
	:: FITS(0) -> cand = 0
	:: FITS(1) -> cand = 1
	:: FITS(2) -> cand = 2
	:: FITS(3) -> cand = 3
	:: FITS(4) -> cand = 4
	:: FITS(5) -> cand = 5
	:: FITS(6) -> cand = 6
	:: FITS(7) -> cand = 7
	:: FITS(8) -> cand = 8
	:: FITS(9) -> cand = 9
	:: FITS(10) -> cand = 10
	:: FITS(11) -> cand = 11
	:: FITS(12) -> cand = 12
	:: FITS(13) -> cand = 13
	:: FITS(14) -> cand = 14
	:: FITS(15) -> cand = 15
	fi
}

/* Puts epoch newest + 1. */
inline put_epoch()
{
	/* A condemned pack that a point needs is pardoned. */
	missing = my.live & ~BLOBS(SURE & ~cand);
	p = 0;
	do
	:: p == NPK -> break
	:: p < NPK && HAS(cand, p) ->
#ifdef WITHOUT_LISTING_BEFORE
		/* As if newest, which all sessions from then on have read,
		 * had condemned it. */
		list[p] = (WAITED_FOR(newest) -> DOOMED : newest + 1);
#else
		list[p] = newest + 1;
#endif
		p++
	:: p < NPK && !HAS(cand, p) && (list[p] == DOOMED || list[p] == OFF) ->
		list[p] = OFF;
		p++
	:: p < NPK && !HAS(cand, p) && list[p] != DOOMED && list[p] != OFF ->
		if
		:: content[p] & missing -> list[p] = OFF
#ifdef WITHOUT_DOOM
		:: !(content[p] & missing) && HAS(my.rm, p) -> list[p] = OFF
#else
		:: !(content[p] & missing) && WAITED_FOR(list[p]) ->
			list[p] = DOOMED
#endif
		:: else
		fi;
		p++
	od;
	newest++;
#ifdef BASE
	last_list = (OFFLIST == BIT(NPK) - 1 -> last_list : newest);
#endif
	roll = my.found;
	decided = MIN(my.minu, newest - 1);
	/* Fewer states: below that nobody asks for them again. */
	session[1] = (session[1] > decided -> session[1] : 0);
	session[2] = (session[2] > decided -> session[2] : 0);
#if !defined(WITHOUT_EXCLUSIVE_EPOCHS) && !defined(WITHOUT_DOOM)
	/* Fewer states: what the other has walked is of no use any more. */
	other.n = (other.n == NOWHERE -> NOWHERE : BEHIND);
	other.todo = 0; other.found = 0; other.live = 0; other.minu = 0;
#endif
#ifdef CACHE
	listed = listed | (BIT(NPK) - 1 - OFFLIST);
#endif
}

inline forget_all()
{
	d_step {
		my.n = NOWHERE; my.rm = 0; my.todo = 0; my.live = 0; my.minu = 0;
		my.found = 0; p = 0; cand = 0; missing = 0
	}
}

inline any_of(set)
{
	if
	:: HAS(set, 0) -> p = 0
	:: HAS(set, 1) -> p = 1
	:: HAS(set, 2) -> p = 2
	:: HAS(set, 3) -> p = 3
	fi
}

#ifdef MIXED /* One index names packs 0 and 1. */
#define USELESS (indexed & ~there & ((there & 3) -> 252 : 255))
#define WITH(i) ((i) < 2 -> 3 : BIT(i))
#else
#define USELESS (indexed & ~there)
#define WITH(i) BIT(i)
#endif

#ifdef SWEEP
#define TO_SWEEP USELESS
#else
#define TO_SWEEP false
#endif
#ifdef SWEEP_FIRST /* No listing hides an index; all are removed in time. */
#define SWEPT ((my.rm & indexed) == 0)
#else
#define SWEPT true
#endif
#ifdef WITHOUT_REMOVING_FIRST
#define REMOVED true
#else
#define REMOVED ((my.rm & there) == 0)
#endif

/* Points to walk: the roll and the sessions after it.  The sessions of n come
 * last; those below are sealed, so one step does. */
#ifdef LOSES
/* A listing of points/, too, before the sessions are read: one step here. */
#ifdef WITHOUT_STRAYS
#define STRAY(i) false
#else
#define STRAY(i) (point[i] == MANIFEST)
#endif
#else
#define STRAY(i) false /* There is none. */
#endif
#define SCOPE(i) (HAS(roll, i) || session[i] > decided || STRAY(i))
#ifdef WITHOUT_LATE_WALK
#define WALKED(i) HAS(roll, i)
#else
#define WALKED(i) true
#endif
#ifdef WITHOUT_EARLIER_SESSIONS
#define COUNTS(i) (session[i] == my.n)
#else
#define COUNTS(i) (session[i] != 0)
#endif

proctype Prune(bit me)
{
	byte p, cand, missing;


end_begin: /* No more epochs: the end. */
	atomic {
		if
		/*
		 * The window of a point ends: the next forgotten/ID/K says
		 * gone, unless somebody put it since it was looked for.
		 */
		:: GO && (forgotten[0] == 1 || forgotten[0] == 3) ->
			p = 0
#ifndef WITHOUT_LAST_WORD
			; forgotten[p] = GONE
#endif
			; goto gone
		:: GO && forgotten[1] == 1 ->
			p = 1
#ifndef WITHOUT_LAST_WORD
			; forgotten[p] = GONE
#endif
			; goto gone
		/* Another prune's words, its deed undone. */
		:: GO && forgotten[0] == GONE && point[0] == MANIFEST ->
			p = 0; goto gone
		:: GO && forgotten[1] == GONE && point[1] == MANIFEST ->
			p = 1; goto gone
		:: GO && (newest < MAXE || (there & WHERE(DOOMED)) ||
		    TO_SWEEP) ->
			my.n = newest; my.rm = WHERE(DOOMED);
			if
			:: my.n <= sealed -> goto sweep
			:: my.n > sealed
			fi
		fi
	}
	/* Those below were sealed before my.n was put. */
	if
	:: atomic {
		GO ->
		/* Who is behind finds the seal. */
		sealed = (my.n != BEHIND && sealed < my.n -> my.n : sealed)
	    }
	:: atomic { forget_all(); goto end_begin }
	fi;
sweep:
	if
	:: atomic {
		GO && (my.rm & there) ->
		any_of(my.rm & there);
		there = there & ~BIT(p);
		TIDY(p);
		p = 0;
		CHECK;
		goto sweep
	    }
#ifdef SWEEP
	/* Indexes all of whose packs are gone; a listing may hide them. */
	:: atomic {
		GO && REMOVED && USELESS ->
		any_of(USELESS);
		indexed = indexed & ~WITH(p);
		p = 0;
		CHECK;
		goto sweep
	    }
#endif
	:: atomic {
		GO && REMOVED && SWEPT ->
		my.rm = 0;
		if
		:: STALE || newest == MAXE -> forget_all(); goto end_begin
		:: else -> my.minu = NEVER; my.found = 0; my.live = 0;
#if FORGETS == 0
			my.found = 1; my.live = 1; /* Point 0 stays. */
			my.todo = (SCOPE(1) << 1) | (SCOPE(2) << 2)
#else
			my.todo = SCOPE(0) | (SCOPE(1) << 1) | (SCOPE(2) << 2)
#endif
		fi
	    }
	:: atomic { forget_all(); goto end_begin }
	fi;
walk:
	if
	:: atomic {
		GO && my.todo != 0 ->
		any_of(my.todo);
		my.todo = my.todo & ~BIT(p);
		if
		/*
		 * Another was faster: the put would fail, and all that a
		 * walk changes before it a new one can change as well.
		 */
		:: STALE -> forget_all(); goto end_begin
		:: !STALE && point[p] == MANIFEST ->
			my.found = my.found | BIT(p);
			my.live = my.live | (WALKED(p) -> NEED(p) : 0)
		:: !STALE && point[p] == NONE && !HAS(roll, p) ->
			if
			:: COUNTS(p) -> my.minu = MIN(my.minu, session[p] - 1)
			:: !COUNTS(p) /* A stray that is gone: nobody waits. */
#ifdef WITHOUT_TOMBSTONE
			:: true /* Dead, as it seems. */
#else
#ifndef WITHOUT_GIVING_UP
			/* The put tells what a get before it told. */
			:: point[p] = TOMBSTONE;
			   given_up = given_up | BIT(p);
			   CHECK
#endif
#endif
			fi
		:: else
		fi;
		p = 0;
		goto walk
	    }
#ifdef REPACK
	/* Pack 0 has something dead: what lives in it goes to pack 1. */
	:: atomic {
		GO && my.todo == 0 && !STALE && !HAS(ever, 1) &&
		    list[0] == OFF && (content[0] & my.live) == 1 ->
		content[1] = content[0] & my.live;
		there = there | 2;
		ever = ever | 2
	    }
	    if
	    :: atomic { GO -> INDEX(2) ; goto walk }
	    :: atomic { forget_all(); goto end_begin }
	    fi
#endif
#ifdef WITHOUT_DOOM
	:: atomic {
		GO && my.todo == 0 && my.rm == 0 && !STALE ->
		missing = my.live & ~BLOBS(SURE);
		do
		:: p == NPK -> p = 0; break
		:: p < NPK ->
			if
			:: list[p] != OFF && WAITED_FOR(list[p]) &&
			    !(content[p] & missing) -> my.rm = my.rm | BIT(p)
			:: else
			fi;
			p++
		od;
		missing = 0;
		goto slay
	    }
#else
	:: atomic {
		GO && my.todo == 0 ->
		if
		:: !STALE && newest < MAXE ->
			choose();
			if
			:: CHANGED -> d_step { put_epoch() }
			:: else /* Nothing to say. */
			fi
		:: else
		fi;
		forget_all();
		goto end_begin
	    }
#endif
	:: atomic { forget_all(); goto end_begin }
	fi;
#ifdef WITHOUT_DOOM
slay:
	if
	:: atomic {
		GO && (my.rm & there) ->
		any_of(my.rm & there);
		there = there & ~BIT(p);
		TIDY(p);
		p = 0;
		CHECK;
		goto slay
	    }
	:: atomic {
		GO && !(my.rm & there) ->
		if
		:: !STALE && newest < MAXE ->
			choose();
			d_step { put_epoch() }
		:: else
		fi;
		forget_all();
		goto end_begin
	    }
	:: atomic { forget_all(); goto end_begin }
	fi;
#endif
gone:
	if
	:: atomic {
		GO ->
#ifdef WITHOUT_LAST_WORD
		forgotten[p] = (forgotten[p] & 1 -> GONE : forgotten[p]);
#endif
		point[p] = NONE;
		CHECK;
		forget_all();
		goto end_begin
	    }
	:: atomic { forget_all(); goto end_begin }
	fi
}

#ifdef LOSES
/*
 * Somebody removes the object of a session that has committed.  Without that
 * no point is a stray: it is on the roll or in a session since.
 */
proctype Loses()
{
end_begin:
	if
	:: atomic {
		GO && point[1] == MANIFEST && session[1] != 0 ->
		session[1] = 0;
		goto end_begin
	    }
	:: atomic {
		GO && point[2] == MANIFEST && session[2] != 0 ->
		session[2] = 0;
		goto end_begin
	    }
	fi
}
#endif

#ifdef JANITOR
/*
 * P4: whatever happened before, a prune that meets nobody, and whose listings
 * are complete, leaves nothing that no point needs.
 */
proctype Janitor()
{
	byte p, cand, missing, round;
	bit me;

	d_step {
		!closed ->
		closed = true;
		do
		:: round == 4 -> break
		:: round < 4 ->
			sealed = newest;
			there = there & ~WHERE(DOOMED);
			indexed = indexed & ~USELESS;
			my.minu = NEVER; my.found = 0; my.live = 0;
			p = 0;
			do
			:: p == NPT -> break
			:: p < NPT ->
				if
				:: forgotten[p] == 1 || forgotten[p] == 3 ||
				    forgotten[p] == GONE ->
					forgotten[p] = GONE;
					point[p] = NONE
				:: else
				fi;
				if
				:: point[p] == MANIFEST && SCOPE(p) ->
					my.found = my.found | BIT(p);
					my.live = my.live | NEED(p)
				:: point[p] == NONE && !HAS(roll, p) &&
				    SCOPE(p) ->
#ifdef WITHOUT_GIVING_UP
					my.minu = MIN(my.minu, session[p] - 1)
#else
					point[p] = TOMBSTONE;
					given_up = given_up | BIT(p)
#endif
				:: else
				fi;
				p++
			od;
			/* Complete: each that is not needed beside others. */
			cand = 0;
			p = 0;
			do
			:: p == NPK -> break
			:: p < NPK ->
				cand = cand | (HAS(OFFLIST & there, p) &&
				    FITS(cand | BIT(p)) -> BIT(p) : 0);
				p++
			od;
			put_epoch();
			CHECK;
			round++
		od;
		p = 0;
		do
		:: p == NPK -> break
		:: p < NPK ->
			if
			:: HAS(there, p) && FITS(BIT(p)) -> assert(P4_holds)
			:: else
			fi;
			p++
		od;
		if
		:: USELESS || OFFLIST != BIT(NPK) - 1 -> assert(P4_holds)
		:: else
		fi
	}
}
#endif

init {
	atomic {
		prunes[0].n = NOWHERE;
		prunes[1].n = NOWHERE;
		point[0] = MANIFEST;
		done[0] = true;
#ifdef REPACK
		content[0] = 3;
		there = 1;
		indexed = 1;
#elif defined(NO_GARBAGE)
		content[0] = 1;
		there = 1;
		indexed = 1;
#else
		content[0] = 1;
		content[1] = 2;
		there = 3;
#ifdef MIXED
		indexed = 3;
#else
		if
		:: indexed = 3
		:: indexed = 1
		fi;
#endif
#endif
		ever = there;
		run Backup(1);
#ifndef ONE_BACKUP
		run Backup(2);
#endif
		run Forget();
		run Prune(0);
#ifndef ONE_PRUNE
		run Prune(1);
#endif
#ifdef LOSES
		run Loses();
#endif
#ifdef JANITOR
		run Janitor()
#endif
	}
}
