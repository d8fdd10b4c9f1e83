/// Draws targets at random, each in proportion to its weight, in constant time.
///
/// Usable targets stand in one dense list, sorted into 17 buckets: bucket k holds weights in 2^(k-1)+1...2^k.
/// A draw picks a bucket by its weight, a member by chance, and accepts it with probability weight / 2^k, which
/// is above one half: two tries on average, one for powers of two. Targets without weight stand behind the last
/// bucket and are never touched, however many they are.
///
/// Rejected: prefix sums (a binary search per draw, a pass per changed weight) and alias tables (rebuilt for
/// every changed weight).
@usableFromInline struct WeightedSampler: Sendable {
    /// 2^0...2^16, then the unusable ones.
    @usableFromInline static var bucketCount: Int { 18 }

    @usableFromInline var weights: [Int32]
    /// Every target once, bucket after bucket.
    @usableFromInline var order: [Int32]
    /// Where each target stands in `order`.
    @usableFromInline var position: [Int32]
    /// Where each bucket ends in `order`.
    @usableFromInline var ends: [Int]
    /// What the weights of a bucket add up to.
    @usableFromInline var bucketWeight: [Int]
    @usableFromInline var totalWeight: Int

    @usableFromInline init(weights: [Int]) {
        guard !weights.isEmpty else {
            (self.weights, order, position, ends, bucketWeight, totalWeight) = ([], [], [], [], [], 0)
            return
        }
        let count = weights.count
        self.weights = weights.map { Int32($0) }
        order = []
        order.reserveCapacity(count)
        position = Array(repeating: 0, count: count)
        ends = []
        bucketWeight = Array(repeating: 0, count: Self.bucketCount)
        totalWeight = weights.reduce(0, +)
        var members = [[Int32]](repeating: [], count: Self.bucketCount)
        for (target, weight) in weights.enumerated() {
            let bucket = Self.bucket(of: weight)
            members[bucket].append(Int32(target))
            bucketWeight[bucket] += weight
        }
        for bucket in members {
            for target in bucket {
                position[Int(target)] = Int32(order.count)
                order.append(target)
            }
            ends.append(order.count)
        }
    }

    /// How many targets have a weight.
    @inlinable var usableCount: Int { order.isEmpty ? 0 : ends[Self.bucketCount - 2] }

    /// The logarithm, rounded up; the last bucket for 0.
    @inlinable static func bucket(of weight: Int) -> Int {
        weight <= 0 ? bucketCount - 1 : Int.bitWidth - (weight - 1).leadingZeroBitCount
    }

    /// One target, in proportion to its weight. Call only where ``usableCount`` is above 0.
    @inlinable func draw(_ random: inout RandomSequence) -> Int {
        var point = Int(random.next().multipliedFullWidth(by: UInt64(totalWeight)).high)
        var bucket = 0
        while point >= bucketWeight[bucket] {
            point -= bucketWeight[bucket]
            bucket += 1
        }
        let first = bucket == 0 ? 0 : ends[bucket - 1]
        let size = ends[bucket] - first
        // A try fails with a probability below one half: 32 of them leave nothing worth counting.
        for _ in 0..<32 {
            let bits = random.next()
            let target = Int(order[first + scaled(UInt32(truncatingIfNeeded: bits), below: size)])
            if scaled(UInt32(truncatingIfNeeded: bits >> 32), below: 1 << bucket) < Int(weights[target]) {
                return target
            }
        }
        return Int(order[first])
    }

    /// The first usable target for which `isOpen` holds, looking through all of them from a random one on.
    @inlinable func search(_ random: inout RandomSequence, where isOpen: (Int) -> Bool) -> Int? {
        let count = usableCount
        guard count > 0 else { return nil }
        let first = scaled(UInt32(truncatingIfNeeded: random.next()), below: count)
        for step in 0..<count {
            let place = first + step
            let target = Int(order[place < count ? place : place - count])
            if isOpen(target) { return target }
        }
        return nil
    }

    /// - Cost: at most one swap per bucket in between.
    @usableFromInline mutating func setWeight(_ weight: Int, at target: Int) {
        let old = Int(weights[target])
        var bucket = Self.bucket(of: old)
        let goal = Self.bucket(of: weight)
        bucketWeight[bucket] -= old
        bucketWeight[goal] += weight
        totalWeight += weight - old
        weights[target] = Int32(weight)
        while bucket < goal {  // become the last of this bucket, then the first of the next
            swap(Int(position[target]), ends[bucket] - 1)
            ends[bucket] -= 1
            bucket += 1
        }
        while bucket > goal {  // become the first of this bucket, then the last of the one before
            swap(Int(position[target]), ends[bucket - 1])
            ends[bucket - 1] += 1
            bucket -= 1
        }
    }

    private mutating func swap(_ a: Int, _ b: Int) {
        order.swapAt(a, b)
        position[Int(order[a])] = Int32(a)
        position[Int(order[b])] = Int32(b)
    }
}
