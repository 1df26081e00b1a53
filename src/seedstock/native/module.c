/* The Python module: checks buffers, gives up the interpreter's lock, calls the kernels. Limited API of 3.11. */
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "kernels.h"

#define MOST 6

typedef struct {
    Py_buffer views[MOST];
    int count;
} Buffers;

static void release(Buffers *buffers)
{
    while (buffers->count)
        PyBuffer_Release(&buffers->views[--buffers->count]);
}

/* The bytes of an object, writable where asked for, of at least so many bytes; NULL with an exception set. */
static void *bytes_of(Buffers *buffers, PyObject *object, int writable, uint64_t least)
{
    Py_buffer *view = &buffers->views[buffers->count];
    if (PyObject_GetBuffer(object, view, writable ? PyBUF_WRITABLE : PyBUF_SIMPLE))
        return NULL;
    buffers->count++;
    if ((uint64_t)view->len < least) {
        PyErr_Format(PyExc_ValueError, "a buffer of %zd bytes where %llu are needed", view->len,
                     (unsigned long long)least);
        return NULL;
    }
    return view->buf;
}

/* Offsets of texts in so many bytes: ascending, inside, and each text below 4 GiB. */
static int sound(const int64_t *offsets, Py_ssize_t rows, uint64_t bytes)
{
    int good = offsets[0] >= 0 && (uint64_t)offsets[rows] <= bytes;
    for (Py_ssize_t row = 0; good && row < rows; row++)
        good = offsets[row] <= offsets[row + 1] && offsets[row + 1] - offsets[row] < (int64_t)UINT32_MAX;
    if (!good)
        PyErr_SetString(PyExc_ValueError, "offsets that are not those of texts below 4 GiB");
    return good;
}

/* data and offsets of texts, the first two buffers. */
static int texts(Buffers *buffers, PyObject *data, PyObject *offsets, Py_ssize_t rows, const uint8_t **bytes,
                 const int64_t **starts)
{
    if (rows < 0) {
        PyErr_SetString(PyExc_ValueError, "fewer than no texts");
        return 0;
    }
    if (!(*bytes = bytes_of(buffers, data, 0, 0)) && PyErr_Occurred())
        return 0;
    if (!(*starts = bytes_of(buffers, offsets, 0, ((uint64_t)rows + 1) * sizeof(int64_t))))
        return 0;
    return sound(*starts, rows, (uint64_t)buffers->views[0].len);
}

static PyObject *gopher(PyObject *self, PyObject *args)
{
    PyObject *data, *offsets, *letters, *out, *result = NULL;
    Py_ssize_t rows, longest;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOnOnO", &data, &offsets, &rows, &letters, &longest, &out))
        return NULL;
    Buffers buffers = {.count = 0};
    const uint8_t *bytes, *bits;
    const int64_t *starts;
    int64_t *counts;
    if (texts(&buffers, data, offsets, rows, &bytes, &starts) && (bits = bytes_of(&buffers, letters, 0, 0x110000 / 8)) &&
        (counts = bytes_of(&buffers, out, 1, (uint64_t)rows * GOPHER_COLUMNS * sizeof(int64_t)))) {
        int good;
        Py_BEGIN_ALLOW_THREADS
        good = gopher_counts(bytes, starts, (size_t)rows, bits, longest < 0 ? 0 : (size_t)longest, counts);
        Py_END_ALLOW_THREADS
        result = good ? Py_NewRef(Py_None) : PyErr_NoMemory();
    }
    release(&buffers);
    return result;
}

static PyObject *number(int64_t found)
{
    return found == -2 ? PyErr_NoMemory() : PyLong_FromLongLong(found);
}

static PyObject *shingles(PyObject *self, PyObject *args)
{
    PyObject *data, *offsets, *out, *counts, *result = NULL;
    Py_ssize_t rows, size;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOnnOO", &data, &offsets, &rows, &size, &out, &counts))
        return NULL;
    Buffers buffers = {.count = 0};
    const uint8_t *bytes;
    const int64_t *starts;
    uint64_t *hashes;
    int64_t *own;
    if (size < 1)
        PyErr_SetString(PyExc_ValueError, "shingles of no words");
    else if (texts(&buffers, data, offsets, rows, &bytes, &starts) &&
             /* n bytes have at most (n + 1) / 2 words. */
             (hashes = bytes_of(&buffers, out, 1,
                                ((uint64_t)(starts[rows] - starts[0]) + (uint64_t)rows) / 2 * sizeof(uint64_t))) &&
             (own = bytes_of(&buffers, counts, 1, (uint64_t)rows * sizeof(int64_t)))) {
        int64_t found;
        Py_BEGIN_ALLOW_THREADS
        found = shingle_hashes(bytes, starts, (size_t)rows, (size_t)size, hashes, own);
        Py_END_ALLOW_THREADS
        result = number(found);
    }
    release(&buffers);
    return result;
}

static PyObject *minhash(PyObject *self, PyObject *args)
{
    PyObject *data, *offsets, *multipliers, *addends, *out, *counts, *result = NULL;
    Py_ssize_t rows, size, permutations;
    (void)self;
    if (!PyArg_ParseTuple(args, "OOnnOOnOO", &data, &offsets, &rows, &size, &multipliers, &addends, &permutations, &out,
                          &counts))
        return NULL;
    Buffers buffers = {.count = 0};
    const uint8_t *bytes;
    const int64_t *starts;
    const uint32_t *m, *a;
    uint32_t *minima;
    int64_t *own;
    if (size < 1 || permutations < 1)
        PyErr_SetString(PyExc_ValueError, "shingles of no words, or no permutations");
    else if (texts(&buffers, data, offsets, rows, &bytes, &starts) &&
             (m = bytes_of(&buffers, multipliers, 0, (uint64_t)permutations * sizeof(uint32_t))) &&
             (a = bytes_of(&buffers, addends, 0, (uint64_t)permutations * sizeof(uint32_t))) &&
             (minima = bytes_of(&buffers, out, 1, (uint64_t)rows * (uint64_t)permutations * sizeof(uint32_t))) &&
             (own = bytes_of(&buffers, counts, 1, (uint64_t)rows * sizeof(int64_t)))) {
        int64_t found;
        Py_BEGIN_ALLOW_THREADS
        found = minhash_signatures(bytes, starts, (size_t)rows, (size_t)size, m, a, (size_t)permutations, minima, own);
        Py_END_ALLOW_THREADS
        result = number(found);
    }
    release(&buffers);
    return result;
}

static PyMethodDef methods[] = {
    {"gopher", gopher, METH_VARARGS, "gopher(data, offsets, rows, letters, longest, out)"},
    {"shingles", shingles, METH_VARARGS, "shingles(data, offsets, rows, size, out, counts) -> number of hashes, or -1"},
    {"minhash", minhash, METH_VARARGS,
     "minhash(data, offsets, rows, size, multipliers, addends, permutations, out, counts) -> shingles, or -1"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "_kernels", .m_doc = "Batch kernels over raw UTF-8.", .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__kernels(void)
{
    return PyModuleDef_Init(&module);
}
