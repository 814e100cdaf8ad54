/* The binding: checks every buffer, releases the GIL around the work, refuses a state that is in use. */
#include <Python.h>

#include <string.h>

#include "ngram.h"

enum { MOST_ROWS = NGRAM_EXPERTS * NGRAM_MAX_CONTEXTS };

typedef struct {
    PyObject_HEAD
    ngram *state;
    unsigned vocab;
    Py_ssize_t block;
    int rows, busy, held;
    Py_buffer into[4]; /* the caller's arrays, which the state writes to as long as it lives */
    uint16_t *token_T; /* of the question at hand */
} Object;

/* Fills `view` with a C-contiguous, aligned buffer of items in one of `formats` (the same type has several names), of
 * `count` items, or any number if it is negative. Sets an exception and returns 0 where it is not one. */
static int take(PyObject *from, Py_buffer *view, const char *name, const char *formats, Py_ssize_t itemsize,
                Py_ssize_t count, int writable) {
    int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(from, view, flags) < 0) return 0;
    const char *format = view->format ? view->format : "B";
    if (*format == '<' || *format == '=' || *format == '@') format++;
    if (view->itemsize != itemsize || !format[0] || format[1] || !strchr(formats, format[0])) {
        PyErr_Format(PyExc_TypeError, "%s: items of format '%s', %zd bytes each; expected one of '%s', %zd bytes",
                     name, view->format ? view->format : "B", view->itemsize, formats, itemsize);
    } else if (count >= 0 && view->len != count * itemsize) {
        PyErr_Format(PyExc_ValueError, "%s: %zd items; expected %zd", name, view->len / itemsize, count);
    } else if ((uintptr_t)view->buf % (size_t)itemsize) {
        PyErr_Format(PyExc_ValueError, "%s: its items are not aligned to %zd bytes", name, itemsize);
    } else {
        return 1;
    }
    PyBuffer_Release(view);
    return 0;
}

static int enter(Object *self) {
    if (!self->state) {
        PyErr_SetString(PyExc_ValueError, "this state was never made; call its type with arguments");
        return 0;
    }
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "another thread is using this state; give each thread its own");
        return 0;
    }
    self->busy = 1;
    return 1;
}

static int read_contexts(PyObject *from, ngram_context *contexts) {
    PyObject *list = PySequence_List(from);
    if (!list) return -1;
    Py_ssize_t count = PyList_Size(list);
    if (count < 1 || count > MOST_ROWS) {
        PyErr_Format(PyExc_ValueError, "contexts: %zd of them; expected 1 to %d", count, MOST_ROWS);
        count = -1;
    }
    for (Py_ssize_t c = 0; c < count; c++) {
        PyObject *three = PySequence_Tuple(PyList_GetItem(list, c));
        long long table_bytes = 0;
        if (!three || !PyArg_ParseTuple(three, "iiL", &contexts[c].expert, &contexts[c].length, &table_bytes)) {
            if (PyErr_ExceptionMatches(PyExc_OverflowError))
                PyErr_Format(PyExc_ValueError, "contexts: number %zd is out of range (see native/ngram.h)", c);
            count = -1;
        } else {
            contexts[c].table_bytes = (uint64_t)table_bytes; /* a negative one is too large */
        }
        Py_XDECREF(three);
    }
    Py_DECREF(list);
    return (int)count;
}

/* Makes the state from checked buffers: kind, hash and power of the tokens. */
static int make(Object *self, const ngram_context *contexts, int count, Py_ssize_t block, const Py_buffer *tables,
                PyObject *const *arrays) {
    static const struct {
        const char *name, *formats;
        Py_ssize_t itemsize;
    } outputs[4] = {{"hint_XT", "il", 4}, {"rate_XT", "f", 4}, {"counts_CT", "QL", 8}, {"open_T", "B", 1}};
    const Py_ssize_t rows[4] = {NGRAM_EXPERTS, NGRAM_EXPERTS, count, 1};
    if (tables[0].len < 1 || tables[0].len > 65536 || block < 1 || block > NGRAM_MAX_BLOCK) {
        PyErr_Format(PyExc_ValueError, "%zd tokens and blocks of %zd; expected 1 to 65536 and 1 to %d", tables[0].len,
                     block, NGRAM_MAX_BLOCK);
        return -1;
    }
    Py_ssize_t positions = block + 1;
    for (int k = 0; k < 4; k++) {
        if (!take(arrays[k], &self->into[k], outputs[k].name, outputs[k].formats, outputs[k].itemsize,
                  rows[k] * positions, 1))
            return -1;
        self->held++;
    }
    ngram_tokens tokens = {(uint32_t)tables[0].len, tables[0].buf, tables[1].buf, tables[2].buf};
    ngram_answers into = {self->into[0].buf, self->into[1].buf, self->into[2].buf, self->into[3].buf};
    self->state = ngram_new(&tokens, contexts, count, (uint32_t)block, &into);
    if (!self->state) {
        PyErr_Format(PyExc_ValueError,
                     "no state for %d contexts and blocks of %zd tokens: an expert, a length or a table size is out of range, "
                     "or an expert's contexts are not from the longest down (see native/ngram.h), or memory is short",
                     count, block);
        return -1;
    }
    self->token_T = PyMem_Malloc((size_t)block * sizeof *self->token_T);
    if (!self->token_T) {
        ngram_free(self->state);
        self->state = NULL;
        PyErr_NoMemory();
        return -1;
    }
    self->vocab = tokens.vocab;
    self->block = block;
    self->rows = count;
    return 0;
}

static int init(Object *self, PyObject *args, PyObject *keywords) {
    if (keywords && PyDict_Size(keywords)) {
        PyErr_SetString(PyExc_TypeError, "Ngram takes no keywords");
        return -1;
    }
    static const struct {
        const char *name, *formats;
        Py_ssize_t itemsize;
    } inputs[3] = {{"kind_V", "B", 1}, {"hash_V3", "QL", 8}, {"power_V3", "QL", 8}};
    PyObject *contexts, *given[3], *arrays[4];
    Py_ssize_t block;
    if (!PyArg_ParseTuple(args, "OOOOnOOOO", &contexts, given, given + 1, given + 2, &block, arrays, arrays + 1,
                          arrays + 2, arrays + 3))
        return -1;
    if (self->state || self->held || self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "this state was made already");
        return -1;
    }
    self->busy = 1; /* reading contexts and buffers may run code that comes back here */
    ngram_context wanted[MOST_ROWS];
    int count = read_contexts(contexts, wanted), taken = 0, failed = -1;
    Py_buffer tables[3];
    for (; count > 0 && taken < 3; taken++)
        if (!take(given[taken], &tables[taken], inputs[taken].name, inputs[taken].formats, inputs[taken].itemsize,
                  taken ? 3 * tables[0].len : -1, 0))
            break;
    if (taken == 3) failed = make(self, wanted, count, block, tables, arrays);
    for (int k = 0; k < taken; k++) PyBuffer_Release(&tables[k]);
    self->busy = 0;
    return failed;
}

static void dealloc(Object *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    ngram_free(self->state);
    PyMem_Free(self->token_T);
    for (int k = 0; k < self->held; k++) PyBuffer_Release(&self->into[k]);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

/* Copies the tokens of a question and checks the copy, which no other thread can write to; returns how many, or sets an
 * exception and returns -1 where they cannot be one. */
static Py_ssize_t take_tokens(Object *self, PyObject *from) {
    Py_buffer view;
    if (!take(from, &view, "token_T", "H", 2, -1, 0)) return -1;
    Py_ssize_t count = view.len / 2;
    if (count <= self->block) memcpy(self->token_T, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    if (count > self->block) {
        PyErr_Format(PyExc_ValueError, "%zd tokens at once; this state was made for %zd", count, self->block);
        return -1;
    }
    unsigned highest = 0;
    for (Py_ssize_t t = 0; t < count; t++) highest = self->token_T[t] > highest ? self->token_T[t] : highest;
    if (count == 0 || highest < self->vocab) return count;
    PyErr_Format(PyExc_ValueError, "token %u is not below %u", highest, self->vocab);
    return -1;
}

static PyObject *ask(Object *self, PyObject *tokens, int accepted) {
    if (!enter(self)) return NULL;
    Py_ssize_t count = take_tokens(self, tokens);
    if (count >= 0) {
        Py_BEGIN_ALLOW_THREADS
        ngram_look(self->state, self->token_T, (uint32_t)count);
        if (accepted) ngram_accept(self->state);
        Py_END_ALLOW_THREADS
    }
    self->busy = 0;
    if (count < 0) return NULL;
    Py_RETURN_NONE;
}

static PyObject *look(Object *self, PyObject *tokens) { return ask(self, tokens, 0); }
static PyObject *accept_tokens(Object *self, PyObject *tokens) { return ask(self, tokens, 1); }

static PyObject *save(Object *self, PyObject *unused) {
    (void)unused;
    if (!enter(self)) return NULL;
    size_t size;
    Py_BEGIN_ALLOW_THREADS
    size = ngram_size(self->state);
    Py_END_ALLOW_THREADS
    PyObject *out = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (out) {
        uint8_t *into = (uint8_t *)PyBytes_AsString(out);
        Py_BEGIN_ALLOW_THREADS
        ngram_save(self->state, into);
        Py_END_ALLOW_THREADS
    }
    self->busy = 0;
    return out;
}

static PyObject *load(Object *self, PyObject *from) {
    Py_buffer view;
    if (!enter(self)) return NULL;
    if (!take(from, &view, "saved", "Bbc", 1, -1, 0)) {
        self->busy = 0;
        return NULL;
    }
    const char *refused;
    Py_BEGIN_ALLOW_THREADS
    refused = ngram_load(self->state, view.buf, (size_t)view.len);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&view);
    self->busy = 0;
    if (refused) return PyErr_Format(PyExc_ValueError, "the saved state is refused: %s", refused);
    Py_RETURN_NONE;
}

static PyObject *get_accepted(Object *self, void *unused) {
    (void)unused;
    if (!enter(self)) return NULL;
    self->busy = 0;
    return PyLong_FromUnsignedLongLong(ngram_accepted(self->state));
}

static PyObject *get_table_bytes(Object *self, void *unused) {
    (void)unused;
    if (!enter(self)) return NULL;
    self->busy = 0;
    return PyLong_FromUnsignedLongLong(ngram_table_bytes(self->state));
}

/* A list with a number for each context length. */
static PyObject *per_row(Object *self, uint64_t (*number)(const ngram *, int)) {
    if (!enter(self)) return NULL;
    self->busy = 0;
    PyObject *list = PyList_New(self->rows);
    for (int c = 0; list && c < self->rows; c++) {
        PyObject *value = PyLong_FromUnsignedLongLong(number(self->state, c));
        if (!value || PyList_SetItem(list, c, value) < 0) Py_CLEAR(list);
    }
    return list;
}

static PyObject *get_contexts(Object *self, void *unused) {
    (void)unused;
    return per_row(self, ngram_contexts_met);
}

static PyObject *get_given_up(Object *self, void *unused) {
    (void)unused;
    return per_row(self, ngram_given_up);
}

static PyMethodDef methods[] = {
    {"look", (PyCFunction)look, METH_O, "look(token_T): fill the arrays for positions 0 .. T of this question."},
    {"accept", (PyCFunction)accept_tokens, METH_O, "accept(token_T): make these tokens history."},
    {"save", (PyCFunction)save, METH_NOARGS, "save() -> bytes: the history; a question is forgotten."},
    {"load", (PyCFunction)load, METH_O, "load(saved): replace the history; refuses what save did not write."},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef numbers[] = {
    {"accepted", (getter)get_accepted, NULL, "Tokens of the history.", NULL},
    {"table_bytes", (getter)get_table_bytes, NULL, "Bytes of the tables.", NULL},
    {"contexts", (getter)get_contexts, NULL, "Contexts in each table.", NULL},
    {"given_up", (getter)get_given_up, NULL, "Contexts of each length that made room for others.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_doc, "Ngram(contexts, kind_V, hash_V3, power_V3, block_tokens, hint_XT, rate_XT, counts_CT, open_T): see "
                "native/ngram.h."},
    {Py_tp_init, init},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, numbers},
    {0, NULL},
};
static PyType_Spec spec = {"native._ngram.Ngram", sizeof(Object), 0, Py_TPFLAGS_DEFAULT, slots};

static int execute(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    int failed = !type || PyModule_AddType(module, (PyTypeObject *)type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}
static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, execute}, {0, NULL}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_ngram", "Counts of n-grams: see native/ngram.h.", 0, NULL,
                                 module_slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__ngram(void) { return PyModuleDef_Init(&definition); }
