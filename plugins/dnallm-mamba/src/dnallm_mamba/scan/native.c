/* The selective scan and its convolution for CPUs, forwards and backwards.
 *
 * Compiled by native.py at first use with the machine's own compiler. What it computes is written
 * in reference.py. One vector holds 16 neighbouring channels; the states of a channel sit in as
 * many vectors, in registers, while time runs. Nothing here allocates, locks or calls out: a call
 * serves one batch row and one range of channels, and Python threads call it side by side.
 *
 * Times are in steps of CHUNK so that a chunk's inputs stay in cache while the channels take turns.
 */
#include <stdint.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#define LANES 16
#define CHUNK 64
#define MOST_STATES 64
#define LOG2_E 1.44269504088896341f

typedef float vec __attribute__((vector_size(LANES * 4)));
typedef int32_t ints __attribute__((vector_size(LANES * 4)));
#define INLINE static inline __attribute__((always_inline))

INLINE vec all(float value) { return value - (vec){0}; }
INLINE vec load(const float *from, int lanes) {
  vec value = {0};
  if (lanes == LANES) memcpy(&value, from, sizeof value);
  else memcpy(&value, from, 4 * (size_t)lanes);
  return value;
}
INLINE void store(float *to, vec value, int lanes) {
  if (lanes == LANES) memcpy(to, &value, sizeof value);
  else memcpy(to, &value, 4 * (size_t)lanes);
}
INLINE vec choose(ints yes, vec a, vec b) {
  return (vec)(((ints)a & yes) | ((ints)b & ~yes));
}
INLINE float total(vec value) {
  float sum = 0;
  for (int lane = 0; lane < LANES; lane++) sum += value[lane];
  return sum;
}

/* 2^x to 2e-7 of itself, for x below 127; what is less than 2^-126 may come out as that or as 0. */
INLINE vec power_of_two(vec x) {
#ifdef __AVX512F__ /* one instruction rounds, one scales */
  vec rounded = (vec)_mm512_roundscale_ps((__m512)x, 0);
#else
  const float shift = 12582912.f; /* 1.5 * 2^23: adding it rounds to an integer */
  x = choose(x > -126.f, x, all(-126.f));
  vec shifted = x + shift, rounded = shifted - shift;
#endif
  vec f = x - rounded; /* -1/2 ... 1/2 */
  vec p = all(1.3264714507386088e-3f);
  p = p * f + 9.671509265899658e-3f;
  p = p * f + 5.550733581185341e-2f;
  p = p * f + 2.402224242687225e-1f;
  p = p * f + 6.931470036506653e-1f;
  p = p * f + 1.f;
#ifdef __AVX512F__
  return (vec)_mm512_scalef_ps((__m512)p, (__m512)rounded);
#else
  return (vec)((ints)p + ((ints)shifted << 23));
#endif
}

/* log(1 + e) for e in 0 ... 1, as 2 atanh(e / (2 + e)): exact for small e too. */
INLINE vec log_one_plus(vec e) {
  vec w = e / (2.f + e), q = w * w;
  vec p = all(1.f / 15);
  p = p * q + 1.f / 13;
  p = p * q + 1.f / 11;
  p = p * q + 1.f / 9;
  p = p * q + 1.f / 7;
  p = p * q + 1.f / 5;
  p = p * q + 1.f / 3;
  return 2.f * w * (1.f + q * p);
}

INLINE vec softplus(vec s, vec *slope) {
  vec e = power_of_two(choose(s < 0.f, s, -s) * LOG2_E); /* exp(-|s|) */
  if (slope) *slope = choose(s < 0.f, e, all(1.f)) / (1.f + e);
  return choose(s < 0.f, all(0.f), s) + log_one_plus(e);
}

INLINE vec sigmoid(vec v) {
  v = choose(v < -80.f, all(-80.f), choose(v > 80.f, all(80.f), v));
  return 1.f / (1.f + power_of_two(-v * LOG2_E));
}

/* One row of one call; widths and strides count floats. Pointers may be null where noted. */
typedef struct {
  const float *x, *step, *A, *B, *C, *D, *mask /* null */, *before /* null */;
  const float *gate /* null; forwards only */;
  float *y, *last, *kept /* null: states at the start of each chunk */;
  int64_t x_stride, step_stride, B_stride, C_stride, gate_stride;
  int64_t length, width, states, first, end, reverse;
  /* backwards only */
  const float *grad_y, *grad_last;
  float *grad_x, *grad_step, *grad_A, *grad_B, *grad_C, *grad_D, *grad_before;
} Row;

INLINE int lanes_at(const Row *r, int64_t channel) {
  int64_t left = r->width - channel;
  return left < LANES ? (int)left : LANES;
}

/* (width, states) in memory <-> one vector a state in registers */
INLINE void gather(const float *from, const Row *r, int64_t channel, vec *to, int n, float factor) {
  int lanes = lanes_at(r, channel);
  for (int s = 0; s < n; s++) {
    vec value = {0};
    if (from)
      for (int lane = 0; lane < lanes; lane++) value[lane] = from[(channel + lane) * n + s] * factor;
    to[s] = value;
  }
}
INLINE void scatter(float *to, const Row *r, int64_t channel, const vec *from, int n) {
  int lanes = lanes_at(r, channel);
  for (int s = 0; s < n; s++)
    for (int lane = 0; lane < lanes; lane++) to[(channel + lane) * n + s] = from[s][lane];
}

INLINE void forward(const Row *r, const int n) {
  int64_t chunks = (r->length + CHUNK - 1) / CHUNK;
  for (int64_t channel = r->first; channel < r->end; channel += LANES) {
    vec state[MOST_STATES];
    gather(r->before, r, channel, state, n, 1.f);
    scatter(r->last, r, channel, state, n);
  }
  for (int64_t index = 0; index < chunks; index++) {
    int64_t chunk = r->reverse ? chunks - 1 - index : index;
    int64_t start = chunk * CHUNK, stop = start + CHUNK < r->length ? start + CHUNK : r->length;
    if (r->kept)
      memcpy(r->kept + (chunk * r->width + r->first) * n, r->last + r->first * n,
             sizeof(float) * (size_t)((r->end < r->width ? r->end : r->width) - r->first) * n);
    for (int64_t channel = r->first; channel < r->end; channel += LANES) {
      int lanes = lanes_at(r, channel);
      vec state[MOST_STATES], A[MOST_STATES];
      gather(r->last, r, channel, state, n, 1.f);
      gather(r->A, r, channel, A, n, LOG2_E);
      vec D = load(r->D + channel, lanes);
      for (int64_t i = start; i < stop; i++) {
        int64_t t = r->reverse ? stop - 1 - (i - start) : i;
        vec x = load(r->x + t * r->x_stride + channel, lanes);
        vec delta = softplus(load(r->step + t * r->step_stride + channel, lanes), 0);
        if (r->mask) delta *= r->mask[t];
        vec drive = delta * x, y = D * x;
        const float *B = r->B + t * r->B_stride, *C = r->C + t * r->C_stride;
#pragma GCC unroll 16
        for (int s = 0; s < n; s++) {
          state[s] = power_of_two(delta * A[s]) * state[s] + drive * B[s];
          y += state[s] * C[s];
        }
        if (r->gate) {
          vec g = load(r->gate + t * r->gate_stride + channel, lanes);
          y *= g * sigmoid(g);
        }
        store(r->y + t * r->width + channel, y, lanes);
      }
      scatter(r->last, r, channel, state, n);
    }
  }
}

INLINE void backward(const Row *r, const int n) {
  int64_t chunks = (r->length + CHUNK - 1) / CHUNK;
  static __thread vec states[(CHUNK + 1) * MOST_STATES], decays[CHUNK * MOST_STATES];
  static __thread vec sum_B[CHUNK * MOST_STATES], sum_C[CHUNK * MOST_STATES];
  for (int64_t channel = r->first; channel < r->end; channel += LANES) {
    vec flow[MOST_STATES];
    gather(r->grad_last, r, channel, flow, n, 1.f);
    scatter(r->grad_before, r, channel, flow, n);
  }
  for (int64_t index = chunks - 1; index >= 0; index--) {
    int64_t chunk = r->reverse ? chunks - 1 - index : index;
    int64_t start = chunk * CHUNK, stop = start + CHUNK < r->length ? start + CHUNK : r->length;
    int64_t count = stop - start;
    memset(sum_B, 0, sizeof(vec) * (size_t)(n * count));
    memset(sum_C, 0, sizeof(vec) * (size_t)(n * count));
    for (int64_t channel = r->first; channel < r->end; channel += LANES) {
      int lanes = lanes_at(r, channel);
      vec A[MOST_STATES], flow[MOST_STATES], grad_A[MOST_STATES], slopes[CHUNK], deltas[CHUNK];
      gather(r->A, r, channel, A, n, LOG2_E);
      gather(r->kept + chunk * r->width * n, r, channel, states, n, 1.f);
      gather(r->grad_before, r, channel, flow, n, 1.f);
      gather(r->grad_A, r, channel, grad_A, n, 1.f);
      vec D = load(r->D + channel, lanes), grad_D = load(r->grad_D + channel, lanes);
      for (int64_t i = 0; i < count; i++) { /* the chunk's states once more */
        int64_t t = r->reverse ? stop - 1 - i : start + i;
        vec x = load(r->x + t * r->x_stride + channel, lanes);
        vec delta = softplus(load(r->step + t * r->step_stride + channel, lanes), &slopes[i]);
        if (r->mask) delta *= r->mask[t], slopes[i] *= r->mask[t];
        deltas[i] = delta;
        vec drive = delta * x;
        const float *B = r->B + t * r->B_stride;
#pragma GCC unroll 16
        for (int s = 0; s < n; s++) {
          decays[i * n + s] = power_of_two(delta * A[s]);
          states[(i + 1) * n + s] = decays[i * n + s] * states[i * n + s] + drive * B[s];
        }
      }
      for (int64_t i = count - 1; i >= 0; i--) { /* flow = dL/dh, backwards in time */
        int64_t t = r->reverse ? stop - 1 - i : start + i;
        vec x = load(r->x + t * r->x_stride + channel, lanes);
        vec grad_y = load(r->grad_y + t * r->width + channel, lanes);
        vec delta = deltas[i], drive = delta * x, grad_drive = {0}, grad_exponent = {0};
        const float *B = r->B + t * r->B_stride, *C = r->C + t * r->C_stride;
#pragma GCC unroll 16
        for (int s = 0; s < n; s++) {
          vec g = flow[s] + grad_y * C[s];
          sum_C[i * n + s] += grad_y * states[(i + 1) * n + s];
          sum_B[i * n + s] += drive * g;
          grad_drive += g * B[s];
          g *= decays[i * n + s];
          flow[s] = g;
          g *= states[i * n + s];
          grad_exponent += g * A[s];
          grad_A[s] += g * delta;
        }
        vec grad_step = (grad_exponent / LOG2_E + grad_drive * x) * slopes[i];
        store(r->grad_step + t * r->width + channel, grad_step, lanes);
        store(r->grad_x + t * r->width + channel, grad_drive * delta + D * grad_y, lanes);
        grad_D += grad_y * x;
      }
      scatter(r->grad_before, r, channel, flow, n);
      scatter(r->grad_A, r, channel, grad_A, n);
      store(r->grad_D + channel, grad_D, lanes);
    }
    for (int64_t i = 0; i < count; i++) {
      int64_t t = r->reverse ? stop - 1 - i : start + i;
      for (int s = 0; s < n; s++) {
        r->grad_B[t * n + s] = total(sum_B[i * n + s]);
        r->grad_C[t * n + s] = total(sum_C[i * n + s]);
      }
    }
  }
}

int dnallm_scan_chunk(void) { return CHUNK; }
int dnallm_scan_lanes(void) { return LANES; }
int dnallm_scan_most_states(void) { return MOST_STATES; }

void dnallm_scan_forward(const Row *r) {
  if (r->states == 16) forward(r, 16);
  else if (r->states == 8) forward(r, 8);
  else forward(r, (int)r->states);
}

void dnallm_scan_backward(const Row *r) {
  if (r->states == 16) backward(r, 16);
  else if (r->states == 8) backward(r, 8);
  else backward(r, (int)r->states);
}

/* The convolution: weight is (taps, width); edge holds the taps - 1 inputs beyond the first. */
typedef struct {
  const float *x, *weight, *bias /* null */, *edge /* null */;
  float *y;
  int64_t x_stride, length, width, taps, reverse, start, stop;
  const float *grad_y;
  float *grad_x, *grad_weight, *grad_bias;
} Conv;

/* Input that tap k of position t reads, or null beyond the edge where the edge is zeros. */
INLINE const float *tap_input(const Conv *c, int64_t t, int64_t k) {
  int64_t back = c->taps - 1 - k, at = c->reverse ? t + back : t - back;
  if (at >= 0 && at < c->length) return c->x + at * c->x_stride;
  if (!c->edge) return 0;
  return c->edge + (c->reverse ? at - c->length : at + c->taps - 1) * c->width;
}

#define MOST_TAPS 16

/* What the taps of position t read: inputs and weights of as many of them as exist. */
typedef struct { const float *input[MOST_TAPS], *weight[MOST_TAPS]; int count; } Taps;

INLINE Taps taps_at(const Conv *c, int64_t t) {
  Taps taps = {.count = 0};
  for (int64_t k = 0; k < c->taps; k++) {
    const float *input = tap_input(c, t, k);
    if (!input) continue;
    taps.input[taps.count] = input;
    taps.weight[taps.count++] = c->weight + k * c->width;
  }
  return taps;
}

INLINE vec mixed(const Conv *c, const Taps *taps, const int count, int64_t channel, int lanes) {
  vec sum = c->bias ? load(c->bias + channel, lanes) : all(0.f);
  for (int k = 0; k < count; k++)
    sum += load(taps->weight[k] + channel, lanes) * load(taps->input[k] + channel, lanes);
  return sum;
}

INLINE void convolve_at(const Conv *c, const Taps *taps, const int count, int64_t t) {
  int64_t channel = 0;
  for (; channel + LANES <= c->width; channel += LANES) {
    vec v = mixed(c, taps, count, channel, LANES);
    store(c->y + t * c->width + channel, v * sigmoid(v), LANES);
  }
  if (channel < c->width) {
    int lanes = (int)(c->width - channel);
    vec v = mixed(c, taps, count, channel, lanes);
    store(c->y + t * c->width + channel, v * sigmoid(v), lanes);
  }
}

int dnallm_convolve_most_taps(void) { return MOST_TAPS; }

void dnallm_convolve_forward(const Conv *c) {
  for (int64_t t = c->start; t < c->stop; t++) {
    Taps taps = taps_at(c, t);
    if (taps.count == 4) convolve_at(c, &taps, 4, t);
    else convolve_at(c, &taps, taps.count, t);
  }
}

/* First pass: dL/d(sum before SiLU) into y, and the parameters' gradients. */
void dnallm_convolve_backward_mixed(const Conv *c) {
  for (int64_t t = c->start; t < c->stop; t++) {
    Taps taps = taps_at(c, t);
    for (int64_t channel = 0; channel < c->width; channel += LANES) {
      int64_t left = c->width - channel;
      int lanes = left < LANES ? (int)left : LANES;
      vec v = mixed(c, &taps, taps.count, channel, lanes), s = sigmoid(v);
      vec g = load(c->grad_y + t * c->width + channel, lanes) * s * (1.f + v * (1.f - s));
      store(c->y + t * c->width + channel, g, lanes);
      store(c->grad_bias + channel, load(c->grad_bias + channel, lanes) + g, lanes);
      for (int64_t k = 0; k < c->taps; k++) {
        const float *input = tap_input(c, t, k);
        float *sum = c->grad_weight + k * c->width + channel;
        if (input) store(sum, load(sum, lanes) + g * load(input + channel, lanes), lanes);
      }
    }
  }
}

/* Second pass: dL/dx from what the first left in y. */
void dnallm_convolve_backward_input(const Conv *c) {
  for (int64_t t = c->start; t < c->stop; t++)
    for (int64_t channel = 0; channel < c->width; channel += LANES) {
      int64_t left = c->width - channel;
      int lanes = left < LANES ? (int)left : LANES;
      vec sum = {0};
      for (int64_t k = 0; k < c->taps; k++) {
        int64_t ahead = c->taps - 1 - k, at = c->reverse ? t - ahead : t + ahead;
        if (at >= 0 && at < c->length)
          sum += load(c->weight + k * c->width + channel, lanes) *
                 load(c->y + at * c->width + channel, lanes);
      }
      store(c->grad_x + t * c->width + channel, sum, lanes);
    }
}
